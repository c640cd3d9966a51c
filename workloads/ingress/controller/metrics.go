package controller

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gameday-bench/gameday/workloads/program/procmetrics"
)

// metrics are ingress-nginx's, under its names and labels.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	expiry   *prometheus.GaugeVec
	orphans  *prometheus.GaugeVec
	reloads  prometheus.Counter
	failures prometheus.Counter
	loaded   prometheus.Gauge
	loadedAt prometheus.Gauge
}

// namespace is the prefix of the names.
const metricsNamespace = "nginx_ingress_controller"

func newMetrics(id identity) *metrics {
	constant := prometheus.Labels{"controller_class": id.Class, "controller_namespace": id.Namespace, "controller_pod": id.Pod}
	labels := []string{"host", "ingress", "method", "namespace", "path", "service", "status"}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: metricsNamespace, Name: name, Help: help, ConstLabels: constant}
	}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: metricsNamespace, Name: name, Help: help, ConstLabels: constant}
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(counter("requests", "The total number of client requests"), labels),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: metricsNamespace, Name: "request_duration_seconds", Help: "The request processing time in seconds",
			ConstLabels: constant, Buckets: prometheus.DefBuckets,
		}, labels),
		expiry:   prometheus.NewGaugeVec(gauge("ssl_expire_time_seconds", "Number of seconds since 1970 to the SSL certificate expire"), []string{"host"}),
		orphans:  prometheus.NewGaugeVec(gauge("orphan_ingress", "Gauge reporting status of ingress orphanity, 1 indicates orphaned ingress"), []string{"ingress", "namespace", "type"}),
		reloads:  prometheus.NewCounter(counter("success", "Cumulative number of reload operations")),
		failures: prometheus.NewCounter(counter("errors", "Cumulative number of errors during reload operations")),
		loaded:   prometheus.NewGauge(gauge("config_last_reload_successful", "Whether the last configuration reload attempt was successful")),
		loadedAt: prometheus.NewGauge(gauge("config_last_reload_successful_timestamp_seconds", "Timestamp of the last successful configuration reload")),
	}
	m.registry.MustRegister(m.requests, m.duration, m.expiry, m.orphans, m.reloads, m.failures, m.loaded, m.loadedAt,
		collectors.NewGoCollector(), procmetrics.New())
	return m
}

// served counts a request; r is nil where no route matched.
func (m *metrics) served(r *route, method string, status int, took time.Duration) {
	values := []string{"", "", method, "", "", "", strconv.Itoa(status)}
	if r != nil {
		values = []string{r.host, r.ingress, method, r.namespace, r.path, r.backend.service, values[6]}
	}
	m.requests.WithLabelValues(values...).Inc()
	m.duration.WithLabelValues(values...).Observe(took.Seconds())
}

// reloaded tells about a new table.
func (m *metrics) reloaded(t *table, now time.Time, whole bool) {
	m.reloads.Inc()
	if whole {
		m.loaded.Set(1)
		m.loadedAt.Set(float64(now.Unix()))
	} else {
		m.failures.Inc()
		m.loaded.Set(0)
	}
	m.expiry.Reset()
	for host, certificate := range t.certificates {
		m.expiry.WithLabelValues(host).Set(float64(certificate.Leaf.NotAfter.Unix()))
	}
	m.orphans.Reset()
	for _, s := range t.sites {
		routes := s.routes
		if s.rest != nil {
			routes = append(routes[:len(routes):len(routes)], s.rest)
		}
		for _, r := range routes {
			for _, why := range []trouble{noService, noEndpoint} {
				g := m.orphans.WithLabelValues(r.ingress, r.namespace, string(why))
				if r.backend.trouble == why {
					g.Set(1)
				}
			}
		}
	}
}
