// Package prometheusadapter is prometheus-adapter: it answers custom.metrics.k8s.io and external.metrics.k8s.io, which
// autoscalers ask, from Prometheus.
//
// Discovery, naming, queries and both APIs are prometheus-adapter's own packages, and its configuration is its own; only
// what would touch the operating system is written anew: see package aggregate.
package prometheusadapter

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/url"
	"runtime/debug"
	"time"

	"sigs.k8s.io/prometheus-adapter/pkg/config"

	"github.com/gameday-bench/gameday/workloads/monitoring/aggregate"
	"github.com/gameday-bench/gameday/workloads/monitoring/kubeclient"
	"github.com/gameday-bench/gameday/workloads/program"
)

// Version is the release of prometheus-adapter whose packages are linked in.
const Version = "0.12.0"

// Image is prometheus-adapter's image.
func Image() program.Image {
	return program.Image{
		Repository: "registry.local/prometheus-adapter/prometheus-adapter", Tags: []string{"v" + Version},
		Entrypoint: []string{"/adapter"}, Program: Run, Ports: []string{"6443/tcp"},
	}
}

// options are prometheus-adapter's command-line flags, as far as this program has them, under their own names.
type options struct {
	port       int
	prometheus *url.URL
	config     string
	relist     time.Duration
	maxAge     time.Duration
	discovery  time.Duration
}

func parseOptions(args []string) (options, error) {
	o := options{}
	fs := flag.NewFlagSet("prometheus-adapter", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&o.port, "secure-port", 6443, "port to serve HTTPS on")
	address := fs.String("prometheus-url", "https://localhost", "where Prometheus is")
	fs.StringVar(&o.config, "config", "", "file with the rules")
	fs.DurationVar(&o.relist, "metrics-relist-interval", 10*time.Minute, "how often Prometheus is asked which metrics it has")
	fs.DurationVar(&o.maxAge, "metrics-max-age", 0, "for how long a metric without samples is listed; 0 means the relist interval")
	fs.DurationVar(&o.discovery, "discovery-interval", 10*time.Minute, "how often the API server is asked which resources it has")
	err := fs.Parse(args)
	if o.maxAge == 0 {
		o.maxAge = o.relist
	}
	switch {
	case err != nil:
	case fs.NArg() > 0:
		err = fmt.Errorf("unexpected %s", fs.Arg(0))
	case o.config == "":
		err = fmt.Errorf("no metrics discovery configuration file specified (make sure to use --config)")
	case o.relist <= 0 || o.discovery <= 0:
		err = fmt.Errorf("metrics-relist-interval and discovery-interval have to be more than 0")
	case o.maxAge < o.relist:
		err = fmt.Errorf("max age must not be less than relist interval")
	default:
		if o.prometheus, err = url.Parse(*address); err == nil && o.prometheus.Host == "" {
			err = fmt.Errorf("prometheus-url %q names no host", *address)
		}
	}
	if err != nil {
		return o, &program.ExitError{Code: 1, Err: fmt.Errorf("read flags: %w", err)}
	}
	return o, nil
}

// Run serves the two APIs until ctx ends. It takes prometheus-adapter's own flags. The rules are read once, when it starts.
func Run(ctx context.Context, sys *program.Sys) error {
	o, err := parseOptions(sys.Args)
	if err != nil {
		return err
	}
	if sys.Getenv("GOGC") == "" {
		// What is live is small and steady: collecting at +40% instead of +100% saves memory.
		debug.SetGCPercent(40)
	}
	text, err := program.ReadFile(sys.Files, o.config)
	if err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	rules, err := config.FromYAML(text)
	if err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	log := aggregate.LogTo(sys)
	access, err := kubeclient.Config(sys)
	if err != nil {
		return err
	}
	access.UserAgent = "prometheus-adapter/v" + Version
	listener, err := sys.Net.Listen(ctx, "tcp", fmt.Sprintf(":%d", o.port))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s, err := newServer(ctx, params{
		access: access, listener: listener, host: sys.Hostname, dial: sys.Net.DialContext, rules: rules, options: o,
	})
	if err != nil {
		_ = listener.Close()
		return err
	}
	log.Info("serving custom and external metrics", "address", listener.Addr().String(), "prometheus", o.prometheus.String())
	return s.run(ctx)
}
