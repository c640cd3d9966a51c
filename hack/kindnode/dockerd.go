package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/dockerd"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/envfile"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/gomod"
)

// dockerHost is the variable that tells docker, and kind, where the daemon is.
const dockerHost = "DOCKER_HOST"

// daemonFlags are those of dockerd start and stop.
type daemonFlags struct {
	common
	data          string
	address, pool string
}

func (d *daemonFlags) register(flags *flag.FlagSet) {
	defaults := dockerd.Defaults()
	d.common.register(flags)
	// What a daemon was started with is known as long as it is not stopped: then these say nothing.
	flags.StringVar(&d.data, "data", defaults.Data, "directory for images and containers; it needs several GB")
	flags.StringVar(&d.address, "address", defaults.Address.String(), "address of the default network's bridge, with the network's length")
	flags.StringVar(&d.pool, "pool", defaults.Pool.String(), "addresses of the other networks")
}

// daemon is the one that the flags describe.
func (d *daemonFlags) daemon(stderr io.Writer) (*dockerd.Daemon, error) {
	o := dockerd.Defaults()
	o.Log = slog.New(slog.NewTextHandler(stderr, nil))
	o.Runtime = d.buildRuntime
	var err error
	if o.Data, err = filepath.Abs(d.data); err != nil {
		return nil, fmt.Errorf("%w: -data: %w", errUsage, err)
	}
	if o.Address, err = netip.ParsePrefix(d.address); err != nil {
		return nil, fmt.Errorf("%w: -address: %w", errUsage, err)
	}
	if o.Pool, err = netip.ParsePrefix(d.pool); err != nil {
		return nil, fmt.Errorf("%w: -pool: %w", errUsage, err)
	}
	return &dockerd.Daemon{Options: o}, nil
}

// buildRuntime builds the OCI runtime for a machine that lacks capabilities.
func (d *daemonFlags) buildRuntime(ctx context.Context, dir string) (string, error) {
	source, err := d.sources()
	if err != nil {
		return "", err
	}
	const name = "bounded-runc"
	if err := source.Own().Build(ctx, dir, gomod.Build{Packages: []string{"./cmd/" + name}}); err != nil {
		return "", err
	}
	return filepath.Join(dir, name), nil
}

// runStart makes sure that a daemon runs, and says where.
func runStart(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("kindnode dockerd start", flag.ContinueOnError)
	var f daemonFlags
	f.register(flags)
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	dir, err := f.dir()
	if err != nil {
		return err
	}
	d, err := f.daemon(stderr)
	if err != nil {
		return err
	}
	started, err := d.Start(ctx)
	if err != nil {
		return err
	}
	variables := map[string]string{dockerHost: started.Host}
	if err := envfile.Update(envFile(dir), variables); err != nil {
		return err
	}
	if started.Host != "" {
		fmt.Fprintf(stdout, "# also in %s\n%s", envFile(dir), envfile.Lines(variables))
	}
	return nil
}

// runStop ends the daemon of this project, and puts the machine back.
func runStop(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("kindnode dockerd stop", flag.ContinueOnError)
	var f daemonFlags
	f.register(flags)
	purge := flags.Bool("purge", false, "also remove images and containers")
	if err := parse(flags, args, stderr); err != nil {
		return err
	}
	dir, err := f.dir()
	if err != nil {
		return err
	}
	d, err := f.daemon(stderr)
	if err != nil {
		return err
	}
	if err := d.Stop(ctx, *purge); err != nil {
		return err
	}
	return envfile.Update(envFile(dir), map[string]string{dockerHost: ""})
}
