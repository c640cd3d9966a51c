package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/dockerd"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/engine"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/envfile"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/recipe"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/rootfs"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/steps"
)

// buildFlags are those of build.
type buildFlags struct {
	common
	engine, suite, mirror string
	jobs                  int
	fresh, load, check    bool
}

func (b *buildFlags) register(flags *flag.FlagSet) {
	b.common.register(flags)
	flags.StringVar(&b.engine, "engine", "docker", "container engine that gets the image: docker, podman or nerdctl")
	flags.StringVar(&b.suite, "suite", "bookworm", "Debian release of the nodes")
	flags.StringVar(&b.mirror, "mirror", "", "Debian mirror; the one that this machine uses where it is not given")
	flags.IntVar(&b.jobs, "jobs", min(2, runtime.NumCPU()), "programs built at a time; each takes every processor, but not when it is linked")
	flags.BoolVar(&b.fresh, "fresh", false, "make everything again")
	flags.BoolVar(&b.check, "check", false, "make nothing, and fail where something is not kept from before")
	flags.BoolVar(&b.load, "load", true, "load the image into the engine; without it, only what the image is made of is made")
}

// runBuild makes everything that is not kept from before.
func runBuild(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("kindnode build", flag.ContinueOnError)
	var b buildFlags
	b.register(flags)
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	dir, err := b.dir()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("build: this takes root, as debootstrap does")
	}
	eng, err := b.reach(ctx)
	if err != nil {
		return err
	}
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	plan, err := b.plan(ctx, dir, eng)
	if err != nil {
		return err
	}
	want := []string{recipe.Chart, recipe.ChaosImages}
	if b.load && (b.fresh || !eng.Has(ctx, recipe.Tag(plan))) {
		want = append(want, recipe.NodeImage)
	} else if !b.load {
		want = append(want, recipe.Parts...)
	}
	if b.check {
		if missing := plan.Missing(want...); len(missing) > 0 {
			return fmt.Errorf("these are not kept from before: %s", strings.Join(missing, ", "))
		}
		return nil
	}
	start := time.Now()
	outcomes, err := plan.Run(ctx, b.options(stderr), want...)
	if tableErr := steps.Table(stdout, outcomes, time.Since(start)); tableErr != nil {
		return errors.Join(err, tableErr)
	}
	if err != nil {
		return err
	}
	variables, err := b.publish(dir, plan)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n# also in %s\n%s", envFile(dir), envfile.Lines(variables))
	return nil
}

// reach returns the engine, which answers: it would be a pity to find out after half an hour that it does not.
func (b *buildFlags) reach(ctx context.Context) (engine.Engine, error) {
	eng := engine.Engine{Program: b.engine}
	if b.engine == "docker" && os.Getenv("DOCKER_HOST") == "" {
		host, err := (&dockerd.Daemon{Options: dockerd.Defaults()}).Running()
		if err != nil {
			return eng, err
		}
		if host != "" {
			eng.Env = []string{"DOCKER_HOST=" + host}
		}
	}
	if !b.load {
		return eng, nil
	}
	if err := eng.Check(ctx); err != nil {
		return eng, fmt.Errorf("%w\nhint: start it (bin/kindnode dockerd start starts a Docker daemon where there is none), or use -load=false", err)
	}
	return eng, nil
}

func (b *buildFlags) plan(ctx context.Context, dir string, eng engine.Engine) (*steps.Plan, error) {
	source, err := b.sources()
	if err != nil {
		return nil, err
	}
	mirror := b.mirror
	if mirror == "" {
		mirror = rootfs.Mirror(os.DirFS("/etc/apt"))
	}
	return recipe.New(ctx, recipe.Options{
		Source: source, Results: filepath.Join(dir, "steps"), Debian: rootfs.Debian{Suite: b.suite, Mirror: mirror}, Engine: eng,
	})
}

// options say what happens on stderr.
func (b *buildFlags) options(stderr io.Writer) steps.Options {
	const downloads = 3
	return steps.Options{
		Places: map[steps.Lane]int{steps.Build: max(1, b.jobs), steps.Fetch: downloads}, Fresh: b.fresh, Now: time.Now,
		Started: func(step string) { fmt.Fprintf(stderr, "%s %s ...\n", time.Now().Format(time.TimeOnly), step) },
		Finished: func(o steps.Outcome) {
			fmt.Fprintf(stderr, "%s %s: %s in %.1f s %s\n", time.Now().Format(time.TimeOnly), o.Step, o.State, o.Took.Seconds(), o.Note)
		},
	}
}

// publish puts the results into a directory of the image's digest, and their places into the file of variables.
func (b *buildFlags) publish(dir string, plan *steps.Plan) (map[string]string, error) {
	out := resultsOf(dir, plan)
	chart, archive := filepath.Join(out, "chart"), filepath.Join(out, recipe.ChaosArchive)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, fmt.Errorf("publish results: %w", err)
	}
	// Both are kept under digests of what they are made of: what is there is right, if it is whole.
	if err := os.RemoveAll(chart); err != nil {
		return nil, fmt.Errorf("publish results: %w", err)
	}
	if err := os.CopyFS(chart, os.DirFS(plan.Dir(recipe.Chart))); err != nil {
		return nil, fmt.Errorf("publish chart: %w", err)
	}
	if err := noteLacks(filepath.Join(chart, "Chart.yaml")); err != nil {
		return nil, fmt.Errorf("publish chart: %w", err)
	}
	if err := os.Remove(archive); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("publish results: %w", err)
	}
	if err := os.Link(filepath.Join(plan.Dir(recipe.ChaosImages), recipe.ChaosArchive), archive); err != nil {
		return nil, fmt.Errorf("publish images: %w", err)
	}
	variables := map[string]string{
		"GAMEDAY_CHAOS_MESH_CHART": chart,
		// The images are in the node image under the names that the chart has for them: nothing has to be loaded, or named otherwise.
		"GAMEDAY_CHAOS_MESH_ARCHIVE": archive,
	}
	if b.load {
		variables["GAMEDAY_KIND_NODE_IMAGE"] = recipe.Tag(plan)
	}
	return variables, envfile.Update(envFile(dir), variables)
}
