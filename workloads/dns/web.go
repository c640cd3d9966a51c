package dns

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metrics"
	"github.com/coredns/coredns/plugin/metrics/vars"
	"github.com/coredns/coredns/plugin/ready"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// address reads the directive's one optional argument.
func address(c *caddy.Controller, otherwise string) (string, error) {
	args := c.RemainingArgs()
	switch len(args) {
	case 0:
		return otherwise, nil
	case 1:
		_, _, err := net.SplitHostPort(args[0])
		return args[0], err
	}
	return "", c.ArgErr()
}

// setupHealth answers /health: health [ADDRESS] { lameduck DURATION }.
func setupHealth(c *caddy.Controller) error {
	in := instanceOf(c)
	for c.Next() {
		addr, err := address(c, ":8080")
		if err != nil {
			return plugin.Error("health", err)
		}
		for c.NextBlock() {
			if c.Val() != "lameduck" {
				return plugin.Error("health", c.ArgErr())
			}
			args := c.RemainingArgs()
			if len(args) != 1 {
				return plugin.Error("health", c.ArgErr())
			}
			if in.duck, err = time.ParseDuration(args[0]); err != nil {
				return plugin.Error("health", err)
			}
		}
		mux := http.NewServeMux()
		mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, http.StatusText(http.StatusOK)) })
		in.web = append(in.web, webServer{"health", addr, mux})
	}
	return nil
}

// setupReady answers /ready once every plugin that has to be ready is: ready [ADDRESS].
func setupReady(c *caddy.Controller) error {
	in := instanceOf(c)
	for c.Next() {
		addr, err := address(c, ":8181")
		if err != nil {
			return plugin.Error("ready", err)
		}
		conf := dnsserver.GetConfig(c)
		was := map[string]bool{} // a plugin that was ready once is not asked again.
		lock := make(chan struct{}, 1)
		mux := http.NewServeMux()
		mux.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
			lock <- struct{}{}
			defer func() { <-lock }()
			var todo []string
			for _, h := range conf.Handlers() {
				if r, ok := h.(ready.Readiness); ok && !was[h.Name()] {
					if was[h.Name()] = r.Ready(); !was[h.Name()] {
						todo = append(todo, h.Name())
					}
				}
			}
			if len(todo) > 0 {
				slices.Sort(todo)
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = io.WriteString(w, strings.Join(todo, ","))
				return
			}
			_, _ = io.WriteString(w, http.StatusText(http.StatusOK))
		})
		in.web = append(in.web, webServer{"ready", addr, mux})
	}
	return nil
}

// setupPrometheus counts with CoreDNS's own plugin and serves /metrics: prometheus [ADDRESS].
func setupPrometheus(c *caddy.Controller) error {
	in := instanceOf(c)
	var m *metrics.Metrics
	for c.Next() {
		if m != nil {
			return plugin.Error("prometheus", plugin.ErrOnce)
		}
		addr, err := address(c, "localhost:9153")
		if err != nil {
			return plugin.Error("prometheus", err)
		}
		m = metrics.New(addr)
		for _, z := range plugin.OriginsFromArgsOrServerBlock(nil, c.ServerBlockKeys) {
			m.AddZone(z)
		}
	}
	buildInfo := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: plugin.Namespace, Name: "build_info", Help: "A metric with a constant '1' value labeled by version, revision, and goversion from which CoreDNS was built.",
	}, []string{"version", "revision", "goversion"})
	buildInfo.WithLabelValues(coremain.CoreVersion, coremain.GitCommit, runtime.Version()).Set(1)
	m.MustRegister(buildInfo)
	conf := dnsserver.GetConfig(c)
	c.OnStartup(func() error {
		for _, h := range conf.ListenHosts {
			for _, p := range conf.Handlers() {
				vars.PluginEnabled.WithLabelValues(conf.Transport+"://"+net.JoinHostPort(h, conf.Port), conf.Zone, conf.ViewName, p.Name()).Set(1)
			}
		}
		return nil
	})
	conf.AddPlugin(func(next plugin.Handler) plugin.Handler {
		m.Next = next
		return m
	})
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(m.Reg, promhttp.HandlerOpts{}))
	// One address is served once, however many server blocks name it.
	if !slices.ContainsFunc(in.web, func(w webServer) bool { return w.plugin == "prometheus" && w.address == m.Addr }) {
		in.web = append(in.web, webServer{"prometheus", m.Addr, mux})
	}
	return nil
}
