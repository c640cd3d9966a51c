// Package prometheus is the program that runs Prometheus in the cluster: its own service discovery, scraping, TSDB,
// PromQL, rules and HTTP API, assembled so that all of it goes through the Sys of its container.
package prometheus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/workloads/monitoring/kubeclient"
	"github.com/gameday-bench/gameday/workloads/program"
)

// Version is the release of Prometheus whose packages are linked in.
const Version = "3.11.0"

// discoveryPeriod is how long a change in the targets may wait before it is scraped: Prometheus's own 5 s suits scrape
// intervals of a minute, not of 2 s.
const discoveryPeriod = 500 * time.Millisecond

// reloadPeriod is how often the configuration is compared with the running one.
const reloadPeriod = 2 * time.Second

// Image is Prometheus's image.
func Image() program.Image {
	return program.Image{
		Repository: "registry.local/prom/prometheus", User: 65534, Tags: []string{"v" + Version},
		Entrypoint: []string{"/bin/prometheus"}, Program: Run, Ports: []string{"9090/tcp"},
	}
}

// server is one running Prometheus.
type server struct {
	sys      *program.Sys
	opts     options
	logger   *slog.Logger
	registry *prometheus.Registry
	dir      string
	started  time.Time

	db        *tsdb.DB
	engine    *promql.Engine
	parser    parser.Parser
	discovery *discovery.Manager
	scrape    *scrape.Manager
	rules     *rules.Manager
	access    *kubeAccess
	reload    *reloader
}

// Run runs Prometheus until ctx ends. It takes Prometheus's own flags.
func Run(ctx context.Context, sys *program.Sys) error {
	opts, err := parseOptions(sys.Args)
	if err != nil {
		return err
	}
	if sys.Getenv("GOGC") == "" {
		// What is live is small and steady: collecting at +40% instead of +100% saves a third of the memory.
		debug.SetGCPercent(40)
	}
	s := &server{
		sys: sys, opts: opts, started: sys.Clock.Now(), registry: prometheus.NewRegistry(),
		logger: slog.New(slog.NewTextHandler(sys.Stderr, &slog.HandlerOptions{Level: opts.LogLevel})),
		parser: parser.NewParser(parser.Options{}),
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	err = s.serve(ctx)
	if cerr := s.db.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("close TSDB: %w", cerr))
	}
	return err
}

// open makes all parts and applies the configuration.
func (s *server) open(ctx context.Context) error {
	dir, err := hostDir(s.sys.Files, s.opts.StoragePath)
	if err != nil {
		return err
	}
	s.dir = dir
	if s.db, err = tsdb.Open(dir, s.logger.With("component", "tsdb"), s.registry, s.tsdbOptions(), nil); err != nil {
		return fmt.Errorf("open TSDB: %w", err)
	}
	if err := s.assemble(ctx); err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

func (s *server) assemble(ctx context.Context) error {
	// Without a service account only static targets can be scraped; then there is no own namespace either.
	namespace, _ := kubeclient.Namespace(s.sys)
	s.access = newKubeAccess(func() (*rest.Config, error) { return kubeclient.Config(s.sys) }, namespace, s.registry)
	s.engine = promql.NewEngine(promql.EngineOpts{
		Logger: s.logger.With("component", "engine"), MaxSamples: s.opts.MaxSamples, Timeout: s.opts.QueryTimeout,
		LookbackDelta: s.opts.Lookback, EnableAtModifier: true, EnableNegativeOffset: true, Parser: s.parser,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Second.Milliseconds() },
	})
	http := []commonconfig.HTTPClientOption{
		commonconfig.WithDialContextFunc(s.sys.Net.DialContext),
		commonconfig.WithSecretManager(&secrets{files: s.sys.Files, clock: s.sys.Clock, tokens: map[string]*kubeclient.FileToken{}}),
	}
	s.discovery = discovery.NewManager(ctx, s.logger.With("component", "discovery"), s.registry, nil,
		discovery.Name("scrape"), discovery.Updatert(discoveryPeriod))
	if s.discovery == nil {
		return errors.New("make discovery manager: its metrics are already registered")
	}
	var err error
	s.scrape, err = scrape.NewManager(&scrape.Options{
		DiscoveryReloadInterval: model.Duration(discoveryPeriod), HTTPClientOptions: http,
	}, s.logger.With("component", "scrape"), nil, nil, s.db, s.registry)
	if err != nil {
		return fmt.Errorf("make scrape manager: %w", err)
	}
	s.rules = rules.NewManager(&rules.ManagerOptions{
		Appendable: s.db, Queryable: s.db, QueryFunc: rules.EngineQueryFunc(s.engine, s.db), Context: ctx,
		NotifyFunc:  func(context.Context, string, ...*rules.Alert) {},
		ExternalURL: s.externalURL(), Logger: s.logger.With("component", "rules"), Registerer: s.registry,
		ResendDelay: time.Minute, GroupLoader: ruleLoader{s.sys.Files, s.parser}, Parser: s.parser,
		DefaultRuleQueryOffset: func() time.Duration { return 0 },
	})
	s.reload = newReloader(s)
	return s.reload.Apply()
}

func (s *server) tsdbOptions() *tsdb.Options {
	o := tsdb.DefaultOptions()
	o.RetentionDuration = s.opts.Retention.Milliseconds()
	o.MaxBytes = s.opts.RetentionBytes
	// Blocks of half an hour, so that a retention of an hour means something; few series need few lock stripes and small
	// segments. These are what an empty head costs most.
	o.MinBlockDuration = (30 * time.Minute).Milliseconds()
	o.MaxBlockDuration = o.MinBlockDuration
	o.StripeSize = 256
	o.WALSegmentSize = 4 << 20
	o.WALCompression = compression.Snappy
	o.HeadChunksWriteBufferSize = 128 << 10
	o.HeadChunksWriteQueueSize = 0
	return o
}

func (s *server) externalURL() *url.URL {
	_, port, err := net.SplitHostPort(s.opts.ListenAddress)
	if err != nil {
		port = s.opts.ListenAddress
	}
	return &url.URL{Scheme: "http", Host: net.JoinHostPort(s.sys.Hostname, port)}
}

// serve runs all parts until ctx ends or one fails.
func (s *server) serve(ctx context.Context) error {
	listener, err := s.sys.Net.Listen(ctx, "tcp", s.opts.ListenAddress)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	web := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn)}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve HTTP: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		// It ends with the context that it was made with, and says so as an error.
		if err := s.discovery.Run(); err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("run discovery: %w", err)
		}
		return nil
	})
	g.Go(func() error { return s.scrape.Run(s.discovery.SyncCh()) })
	g.Go(func() error { s.rules.Run(); return nil })
	g.Go(func() error { s.reload.Run(ctx); return nil })
	g.Go(func() error {
		<-ctx.Done()
		s.rules.Stop()
		s.scrape.Stop()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return web.Shutdown(stop)
	})
	s.logger.Info("Server is ready to receive web requests.", "address", listener.Addr().String(), "version", Version)
	return g.Wait()
}

// loadConfig reads the configuration file. The first result is as written, for the API; the second goes through Sys.
func (s *server) loadConfig(data []byte) (written, running *config.Config, err error) {
	for _, c := range []**config.Config{&written, &running} {
		if *c, err = config.Load(string(data), s.logger); err != nil {
			return nil, nil, fmt.Errorf("parse %s: %w", s.opts.ConfigFile, err)
		}
	}
	if len(running.ScrapeConfigFiles) > 0 {
		return nil, nil, fmt.Errorf("parse %s: scrape_config_files is not supported", s.opts.ConfigFile)
	}
	if err := throughSys(running, s.access); err != nil {
		return nil, nil, fmt.Errorf("parse %s: %w", s.opts.ConfigFile, err)
	}
	return written, running, nil
}
