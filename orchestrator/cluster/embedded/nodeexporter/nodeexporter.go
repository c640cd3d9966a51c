// Package nodeexporter serves a node's own figures in Prometheus' format, under the names and at the port of node-exporter: those that the
// userspace network has and the kernel of the machine knows nothing of.
package nodeexporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
)

// Port is node-exporter's.
const Port = 9100

const headerTimeout = 5 * time.Second

// Tracker is what the figures are read from: *network.Network.
type Tracker interface {
	// Conntrack reads the state of the connection tracking table.
	Conntrack() network.Conntrack
}

// Serve answers /metrics on l, which it closes, until ctx ends; that is no error.
func Serve(ctx context.Context, l net.Listener, t Tracker, log *slog.Logger) error {
	registry := prometheus.NewRegistry()
	if err := registry.Register(conntrack{t}); err != nil {
		return fmt.Errorf("register metrics of the node: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); ctx.Err() == nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics of the node: %w", err)
	}
	return nil
}

// The figures of node-exporter's collector conntrack. Names and help texts are its own, and all of them are gauges there.
var (
	entries = prometheus.NewDesc("node_nf_conntrack_entries", "Number of currently allocated flow entries for connection tracking.", nil, nil)
	limit   = prometheus.NewDesc("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.", nil, nil)
	drop    = prometheus.NewDesc("node_nf_conntrack_stat_drop", "Number of packets dropped due to conntrack failure.", nil, nil)
	success = prometheus.NewDesc("node_scrape_collector_success", "node_exporter: Whether a collector succeeded.", []string{"collector"}, nil)
)

// conntrack collects the state of the connection tracking table.
type conntrack struct{ tracker Tracker }

// Describe implements prometheus.Collector.
func (conntrack) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{entries, limit, drop, success} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c conntrack) Collect(ch chan<- prometheus.Metric) {
	now := c.tracker.Conntrack()
	ch <- prometheus.MustNewConstMetric(entries, prometheus.GaugeValue, float64(now.Entries))
	ch <- prometheus.MustNewConstMetric(limit, prometheus.GaugeValue, float64(now.Max))
	ch <- prometheus.MustNewConstMetric(drop, prometheus.GaugeValue, float64(now.Dropped))
	ch <- prometheus.MustNewConstMetric(success, prometheus.GaugeValue, 1, "conntrack")
}
