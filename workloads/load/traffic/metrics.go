package traffic

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// buckets are the upper bounds of the latency histograms in seconds: fine where objectives are set.
func buckets() []float64 {
	return []float64{
		.001, .002, .003, .005, .0075, .01, .015, .02, .03, .04, .05, .065, .08, .1, .125, .15, .175, .2, .25, .3, .35, .4, .5,
		.6, .7, .8, 1, 1.2, 1.5, 2, 3, 5, 10,
	}
}

// metrics are what the generator has measured.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	lag      prometheus.Histogram
	rate     prometheus.Gauge

	routes []routeMetrics
}

// routeMetrics are one route's series and totals.
type routeMetrics struct {
	name    string
	latency prometheus.Observer

	mu       sync.Mutex
	outcomes map[string]uint64
	counters map[[2]string]prometheus.Counter
}

func newMetrics(p Profile) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "loadgen_requests_total", Help: "Requests by route, status code (0 without an answer) and outcome.",
		}, []string{"route", "code", "outcome"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "loadgen_request_duration_seconds", Help: "Time from the moment at which a request was due to its answer. Failed requests count.",
			Buckets: buckets(),
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "loadgen_in_flight", Help: "Requests under way."}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "loadgen_schedule_lag_seconds", Help: "How long after it was due a request was sent.", Buckets: []float64{.001, .005, .02, .1, 1},
		}),
		rate: prometheus.NewGauge(prometheus.GaugeOpts{Name: "loadgen_target_rate", Help: "Requests per second that the schedule asks for."}),
	}
	m.registry.MustRegister(m.requests, m.latency, m.inFlight, m.lag, m.rate)
	m.routes = make([]routeMetrics, len(p.Routes))
	for i, r := range p.Routes {
		rm := &m.routes[i]
		rm.name, rm.latency = r.Name, m.latency.WithLabelValues(r.Name)
		rm.outcomes, rm.counters = map[string]uint64{}, map[[2]string]prometheus.Counter{}
		// The good series is there from the start, so that its first increase counts.
		rm.counters[[2]string{"200", outcomeOK}] = m.requests.WithLabelValues(r.Name, "200", outcomeOK)
	}
	return m
}

// done notes the end of a request.
func (m *metrics) done(route, code int, outcome string, took time.Duration) {
	r := &m.routes[route]
	r.latency.Observe(took.Seconds())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes[outcome]++
	key := [2]string{strconv.Itoa(code), outcome}
	c := r.counters[key]
	if c == nil {
		c = m.requests.WithLabelValues(r.name, key[0], outcome)
		r.counters[key] = c
	}
	c.Inc()
}

// totals returns the requests of a route by outcome.
func (r *routeMetrics) totals() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]uint64, len(r.outcomes))
	for k, v := range r.outcomes {
		out[k] = v
	}
	return out
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
