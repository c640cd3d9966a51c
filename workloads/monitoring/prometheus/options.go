package prometheus

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"

	"github.com/gameday-bench/gameday/workloads/program"
)

// options are Prometheus's command-line flags, as far as this program has them, under their own names.
type options struct {
	ConfigFile      string
	StoragePath     string
	Retention       time.Duration
	RetentionBytes  int64
	ListenAddress   string
	EnableLifecycle bool
	EnableAdmin     bool
	Lookback        time.Duration
	QueryTimeout    time.Duration
	MaxSamples      int
	LogLevel        slog.Level
	// Set holds every flag's value as text, for /api/v1/status/flags.
	Set map[string]string
}

// parseOptions reads args. Wrong flags are a usage error (exit code 2), as they are for Prometheus.
func parseOptions(args []string) (options, error) {
	o := options{Retention: time.Hour, RetentionBytes: 64 << 20, Lookback: 30 * time.Second, QueryTimeout: 30 * time.Second}
	fs := flag.NewFlagSet("prometheus", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&o.ConfigFile, "config.file", "/etc/prometheus/prometheus.yml", "configuration file")
	fs.StringVar(&o.StoragePath, "storage.tsdb.path", "/prometheus", "data directory")
	fs.Func("storage.tsdb.retention.time", "how long samples are kept", duration(&o.Retention))
	fs.Func("storage.tsdb.retention.size", "how many bytes of blocks are kept", func(s string) error {
		n, err := units.ParseBase2Bytes(s)
		o.RetentionBytes = int64(n)
		return err
	})
	fs.StringVar(&o.ListenAddress, "web.listen-address", ":9090", "address to listen on")
	fs.BoolVar(&o.EnableLifecycle, "web.enable-lifecycle", false, "enable /-/reload")
	fs.BoolVar(&o.EnableAdmin, "web.enable-admin-api", false, "enable the admin API")
	fs.Func("query.lookback-delta", "how far back an instant query looks for a sample", duration(&o.Lookback))
	fs.Func("query.timeout", "how long a query may take", duration(&o.QueryTimeout))
	fs.IntVar(&o.MaxSamples, "query.max-samples", 10_000_000, "how many samples a query may load")
	fs.TextVar(&o.LogLevel, "log.level", slog.LevelInfo, "debug, info, warn or error")
	if err := fs.Parse(args); err != nil {
		return o, &program.ExitError{Code: 2, Err: fmt.Errorf("read flags: %w", err)}
	}
	if fs.NArg() > 0 {
		return o, &program.ExitError{Code: 2, Err: fmt.Errorf("read flags: unexpected %s", fs.Arg(0))}
	}
	o.Set = map[string]string{
		"storage.tsdb.retention.time": model.Duration(o.Retention).String(),
		"storage.tsdb.retention.size": units.Base2Bytes(o.RetentionBytes).String(),
		"query.lookback-delta":        model.Duration(o.Lookback).String(),
		"query.timeout":               model.Duration(o.QueryTimeout).String(),
	}
	fs.VisitAll(func(f *flag.Flag) {
		if _, ok := o.Set[f.Name]; !ok {
			o.Set[f.Name] = f.Value.String()
		}
	})
	return o, nil
}

func duration(to *time.Duration) func(string) error {
	return func(s string) error {
		d, err := model.ParseDuration(s)
		if err != nil {
			return err
		}
		if d == 0 {
			return errors.New("must be more than 0")
		}
		*to = time.Duration(d)
		return nil
	}
}
