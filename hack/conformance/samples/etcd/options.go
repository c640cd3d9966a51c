package etcd

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/logutil"
	"go.etcd.io/etcd/pkg/v3/flags"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gameday-bench/gameday/workloads/program"
)

// taken are the flags of etcd that have an effect here. The others are about peers, certificates, and files and ports of other kinds.
var taken = []string{
	"advertise-client-urls", "auto-compaction-mode", "auto-compaction-retention", "data-dir", "election-timeout", "heartbeat-interval",
	"initial-advertise-peer-urls", "initial-cluster-token", "listen-client-urls", "log-level", "max-request-bytes", "max-txn-ops", "name",
	"quota-backend-bytes", "snapshot-count", "unsafe-no-fsync",
}

// usage is the exit code of wrong flags, as etcd's.
const usage = 2

// configure reads etcd's own flags into the configuration of the only member of a cluster. Its log goes to log.
func configure(args []string, log io.Writer) (*embed.Config, error) {
	cfg := embed.NewConfig()
	if err := parse(cfg, args); err != nil {
		return nil, &program.ExitError{Code: usage, Err: fmt.Errorf("read flags: %w", err)}
	}
	level, err := zapcore.ParseLevel(cfg.LogLevel)
	if err != nil {
		return nil, &program.ExitError{Code: usage, Err: fmt.Errorf("read flags: log-level: %w", err)}
	}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(logutil.DefaultZapLoggerConfig.EncoderConfig), zapcore.AddSync(log), level)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(core, zap.AddCaller()))
	return cfg, nil
}

// parse does what etcd's command does with its flags.
func parse(cfg *embed.Config, args []string) error {
	fs := flag.NewFlagSet("etcd", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	cfg.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("%q is not a valid flag", fs.Arg(0))
	}
	var err error
	fs.Visit(func(f *flag.Flag) {
		if !slices.Contains(taken, f.Name) {
			err = fmt.Errorf("%s is not supported (allowed: %s)", f.Name, strings.Join(taken, ", "))
		}
	})
	if err != nil {
		return err
	}
	cfg.ListenClientUrls = flags.UniqueURLsFromFlag(fs, "listen-client-urls")
	for _, u := range cfg.ListenClientUrls {
		if u.Scheme != "http" {
			return fmt.Errorf("listen-client-urls: %s is not supported (allowed: http)", u.Scheme)
		}
	}
	cfg.AdvertiseClientUrls = flags.UniqueURLsFromFlag(fs, "advertise-client-urls")
	if flags.IsSet(fs, "listen-client-urls") && !flags.IsSet(fs, "advertise-client-urls") {
		return embed.ErrUnsetAdvertiseClientURLsFlag
	}
	cfg.AdvertisePeerUrls = flags.UniqueURLsFromFlag(fs, "initial-advertise-peer-urls")
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// Its default is with the command, not with the flag: without it every request would be a slow one.
	cfg.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	if cfg.Dir == "" {
		cfg.Dir = cfg.Name + ".etcd"
	}
	return nil
}
