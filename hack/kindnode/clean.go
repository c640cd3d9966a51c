package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/engine"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/mounts"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/recipe"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/steps"
)

// lock keeps a second build out of the directory. It is released when the process ends, however it ends.
func lock(dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the cache: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the cache: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		err = fmt.Errorf("lock %s: %w", dir, err)
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("another build uses %s: wait for its end, or use another directory with -cache", dir)
		}
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// runClean removes results that the current version does not use.
func runClean(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("kindnode clean", flag.ContinueOnError)
	var b buildFlags
	b.register(flags)
	all := flags.Bool("all", false, "remove everything")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	dir, err := b.dir()
	if err != nil {
		return err
	}
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	stale, err := b.stale(ctx, dir, *all)
	if err != nil {
		return err
	}
	for _, one := range stale {
		if err := mounts.RemoveAll(one); err != nil {
			return fmt.Errorf("remove %s: %w", one, err)
		}
		fmt.Fprintln(stdout, one)
	}
	return nil
}

// stale are the results, and directories with published ones, that the current version does not use.
func (b *buildFlags) stale(ctx context.Context, dir string, all bool) ([]string, error) {
	published, err := filepath.Glob(filepath.Join(dir, strings.Repeat("[0-9a-f]", steps.Short)))
	if err != nil {
		return nil, fmt.Errorf("list results: %w", err)
	}
	if all {
		return append(published, filepath.Join(dir, "steps")), nil
	}
	plan, err := b.plan(ctx, dir, engine.Engine{})
	if err != nil {
		return nil, err
	}
	out, err := plan.Stale()
	if err != nil {
		return nil, err
	}
	for _, one := range published {
		if one != resultsOf(dir, plan) {
			out = append(out, one)
		}
	}
	return out, nil
}

// resultsOf is the directory of the results of a plan.
func resultsOf(dir string, plan *steps.Plan) string {
	return filepath.Join(dir, plan.Digest(recipe.NodeImage)[:steps.Short])
}
