package mysqld

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gameday-bench/gameday/workloads/program/procmetrics"
	"github.com/gameday-bench/gameday/workloads/stores/sql/mysqld/engine"
)

// registry holds the metrics under the names of the usual exporter.
func (i *instance) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f))
	}
	counter := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, f))
	}
	stat := func(pick func(engine.Stats) int64) func() float64 {
		return func() float64 { return float64(pick(i.store.Stats())) }
	}
	gauge("mysql_up", "Whether the server answers.", func() float64 { return 1 })
	gauge("mysql_global_status_threads_connected", "Open connections.", func() float64 { return float64(i.sessions.open()) })
	gauge("mysql_global_variables_max_connections", "Largest number of connections.", func() float64 { return maxConnections })
	gauge("mysql_global_status_uptime", "Seconds since the start.", func() float64 { return i.sys.Clock.Since(i.started).Seconds() })
	counter("mysql_global_status_queries", "Statements executed.", func() float64 { return float64(i.sessions.total.Load()) })
	counter("mysql_global_status_innodb_row_lock_waits", "Writers that waited for the lock.", stat(func(s engine.Stats) int64 { return s.LockWaits }))
	counter("mysql_global_status_innodb_row_lock_timeouts", "Writers that did not get the lock in time.", stat(func(s engine.Stats) int64 { return s.LockTimeouts }))
	counter("mysql_global_status_handlers_commit_total", "Transactions with changes that were committed.", stat(func(s engine.Stats) int64 { return s.Commits }))
	counter("mysql_global_status_handlers_rollback_total", "Transactions with changes that were rolled back.", stat(func(s engine.Stats) int64 { return s.Rollbacks }))
	r.MustRegister(procmetrics.New())
	return r
}
