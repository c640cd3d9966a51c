package prometheus

import (
	"context"
	"fmt"
	"net/http"
	"net/http/pprof"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/notifications"
	apiv1 "github.com/prometheus/prometheus/web/api/v1"
)

// handler serves Prometheus's HTTP API, health endpoints and own metrics.
func (s *server) handler() http.Handler {
	router := route.New()
	s.api().Register(router.WithPrefix("/api/v1"))
	ok := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "Prometheus Server is %s.\n", text) }
	}
	router.Get("/-/healthy", ok("Healthy"))
	router.Head("/-/healthy", ok("Healthy"))
	router.Get("/-/ready", ok("Ready"))
	router.Head("/-/ready", ok("Ready"))
	router.Get("/metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}).ServeHTTP)
	router.Get("/debug/pprof/*subpath", serveProfile)
	router.Post("/-/reload", s.serveReload)
	router.Put("/-/reload", s.serveReload)
	return router
}

// serveProfile serves the runtime's profiles, as Prometheus does.
func serveProfile(w http.ResponseWriter, r *http.Request) {
	switch route.Param(r.Context(), "subpath") {
	case "/profile":
		pprof.Profile(w, r)
	case "/symbol":
		pprof.Symbol(w, r)
	case "/trace":
		pprof.Trace(w, r)
	default:
		r.URL.Path = "/debug/pprof" + route.Param(r.Context(), "subpath")
		pprof.Index(w, r)
	}
}

func (s *server) serveReload(w http.ResponseWriter, _ *http.Request) {
	if !s.opts.EnableLifecycle {
		http.Error(w, "Lifecycle API is not enabled.", http.StatusForbidden)
		return
	}
	if err := s.reload.Apply(); err != nil {
		http.Error(w, fmt.Sprintf("failed to reload config: %s", err), http.StatusInternalServerError)
	}
}

func (s *server) api() *apiv1.API {
	return apiv1.NewAPI(
		s.engine, s.db, nil, nil, s.db,
		func(context.Context) apiv1.ScrapePoolsRetriever { return s.scrape },
		func(context.Context) apiv1.TargetRetriever { return s.scrape },
		func(context.Context) apiv1.AlertmanagerRetriever { return noAlertmanagers{} },
		s.reload.Config, s.opts.Set,
		apiv1.GlobalURLOptions{ListenAddress: s.opts.ListenAddress, Host: s.externalURL().Host, Scheme: "http"},
		func(h http.HandlerFunc) http.HandlerFunc { return h },
		adminStats{s.db}, s.dir, s.opts.EnableAdmin,
		s.logger.With("component", "api"),
		func(context.Context) apiv1.RulesRetriever { return s.rules },
		5e7, 2, 1<<20, false, nil,
		s.runtimeInfo,
		&apiv1.PrometheusVersion{Version: Version, GoVersion: runtime.Version()},
		func() []notifications.Notification { return nil },
		func() (<-chan notifications.Notification, func(), bool) { return nil, nil, false },
		s.registry, s.registry, nil,
		false, nil, false, false, false, false,
		s.opts.Lookback, false, false, nil, nil,
		apiv1.OpenAPIOptions{ExternalURL: s.externalURL().String(), Version: Version}, s.parser,
	)
}

func (s *server) runtimeInfo() (apiv1.RuntimeInfo, error) {
	ok, when := s.reload.Status()
	return apiv1.RuntimeInfo{
		StartTime: s.started, CWD: s.sys.Cwd, Hostname: s.sys.Hostname, ServerTime: s.sys.Clock.Now().UTC(),
		ReloadConfigSuccess: ok, LastConfigTime: when,
		GoroutineCount: runtime.NumGoroutine(), GOMAXPROCS: runtime.GOMAXPROCS(0), GOMEMLIMIT: debug.SetMemoryLimit(-1),
		GOGC: os.Getenv("GOGC"), GODEBUG: os.Getenv("GODEBUG"),
		StorageRetention: model.Duration(s.opts.Retention).String() + " or " + strconv.FormatInt(s.opts.RetentionBytes>>20, 10) + "MiB",
	}, nil
}

// noAlertmanagers: nobody is notified; agents read the alerts here.
type noAlertmanagers struct{}

func (noAlertmanagers) Alertmanagers() []*url.URL        { return nil }
func (noAlertmanagers) DroppedAlertmanagers() []*url.URL { return nil }

// adminStats adds to the TSDB what the API asks for and only Prometheus's main package has.
type adminStats struct{ *tsdb.DB }

var _ apiv1.TSDBAdminStats = adminStats{}

// BlockMetas returns the blocks' metadata.
func (a adminStats) BlockMetas() ([]tsdb.BlockMeta, error) { return a.DB.BlockMetas(), nil }

// Stats returns the head's statistics.
func (a adminStats) Stats(label string, limit int) (*tsdb.Stats, error) {
	return a.DB.Head().Stats(label, limit), nil
}

// WALReplayStatus says that the log has been replayed: nothing is served before that.
func (a adminStats) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return tsdb.WALReplayStatus{}, nil
}
