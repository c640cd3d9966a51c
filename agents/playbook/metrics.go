package playbook

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
)

// sample is one series of an answer of query_metrics.
type sample struct {
	// signal is the name of the expression that gave it.
	signal string
	labels map[string]string
	value  float64
}

// service is the service, or the Deployment, that a sample is about.
func (m sample) service() string { return cmp.Or(m.labels["service"], m.labels["deployment"]) }

// expression is one PromQL expression under a name; $ns stands for the matcher of the application's namespace.
type expression struct{ signal, promql string }

// ask evaluates expressions in one query, at one moment, and so for one step. What cannot be read gives no samples.
func (s *scene) ask(ctx context.Context, expressions []expression) ([]sample, error) {
	parts := make([]string, len(expressions))
	for i, e := range expressions {
		parts[i] = `label_replace(` + strings.ReplaceAll(e.promql, "$ns", `namespace=`+strconv.Quote(s.brief.Namespace)) +
			`, "signal", "` + e.signal + `", "", "")`
	}
	var answer struct {
		Result []struct {
			Metric map[string]string `json:"metric"`
			Value  []any             `json:"value"`
		} `json:"result"`
	}
	if err := s.call(ctx, "query_metrics", map[string]any{"query": strings.Join(parts, "\nor ")}, &answer); err != nil {
		return nil, err
	}
	var out []sample
	for _, r := range answer.Result {
		if len(r.Value) != 2 {
			continue
		}
		text, _ := r.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(value) {
			continue
		}
		out = append(out, sample{signal: r.Metric["signal"], labels: r.Metric, value: value})
	}
	// Prometheus does not order a vector: one that is ordered makes every look of one state the same.
	slices.SortStableFunc(out, func(a, b sample) int { return cmp.Compare(a.key(), b.key()) })
	return out, nil
}

func (m sample) key() string {
	return strings.Join([]string{
		m.signal, m.service(), m.labels["pod"], m.labels["rpc_service"], m.labels["db_system_name"], m.labels["error_type"],
	}, "\x00")
}

// Names of signals.
const (
	tooManyErrors = "errors"
	tooSlow       = "latency"
	storeErrors   = "store-errors"
	missing       = "replicas-missing"
	notReady      = "not-ready"
	throttledCPU  = "cpu-throttled"
	killedOOM     = "killed-oom"
	poolUsed      = "pool-used"
)

// signals are the golden signals of services and pods, each against its bound, so that a healthy system answers with nothing.
// Those that a busy machine can break for a moment must be broken in all of a window.
func signals() []expression {
	const (
		working  = ` and on (service) max by (service) (service:requests:rate10s{$ns}) > 0.5`
		dbCalls  = `rate(db_client_operation_duration_seconds_count{$ns}[20s])`
		dbErrors = `rate(db_client_operation_duration_seconds_count{$ns,error_type!=""}[20s])`
	)
	return []expression{
		// Before its first error a service has no ratio: it must have had one for as long as it had traffic.
		{tooManyErrors, `max by (service) (min_over_time(service:errors:ratio10s{$ns}[20s])
			and count_over_time(service:errors:ratio10s{$ns}[20s]) >= 0.8 * count_over_time(service:requests:rate10s{$ns}[20s]))
			> on (service) max by (service) (service:errors:expected{$ns})` + working},
		{tooSlow, `max by (service) (min_over_time(service:latency_seconds:p95_10s{$ns}[20s]))
			> on (service) max by (service) (service:latency_seconds:expected{$ns})` + working},
		{storeErrors, `sum by (service, db_system_name, error_type) (` + dbErrors + `)
			/ on (service, db_system_name) group_left () sum by (service, db_system_name) (` + dbCalls + `) > 0.1`},
		{missing, `max by (deployment) (kube_deployment_spec_replicas{$ns})
			- max by (deployment) (max_over_time(kube_deployment_status_replicas_available{$ns}[20s])) > 0`},
		{notReady, `max by (pod) (max_over_time(kube_pod_status_ready{$ns,condition="true"}[20s])) == 0
			and on (pod) max by (pod) (min_over_time(kube_pod_status_phase{$ns,phase="Running"}[20s])) == 1
			and on (pod) max by (pod) (min_over_time(up{$ns}[20s])) == 1`},
		{throttledCPU, `sum by (pod) (increase(container_cpu_cfs_throttled_periods_total{$ns,container!=""}[30s]))
			/ sum by (pod) (increase(container_cpu_cfs_periods_total{$ns,container!=""}[30s])) > 0.5`},
		{killedOOM, `sum by (pod) (increase(kube_pod_container_status_restarts_total{$ns}[60s])) > 0
			and on (pod) kube_pod_container_status_last_terminated_reason{$ns,reason="OOMKilled"} == 1`},
		{poolUsed, `sum by (service) (min_over_time(db_client_connection_count{$ns,db_client_connection_state="used"}[20s]))
			/ sum by (service) (db_client_connection_max{$ns}) >= 0.95`},
	}
}

// over are the samples of a signal.
func (s *scene) over(signal string) []sample {
	var out []sample
	for _, m := range s.signals {
		if m.signal == signal {
			out = append(out, m)
		}
	}
	return out
}

// breaks is true when the service is over its bound in one of the signals.
func (s *scene) breaks(service string, signals ...string) bool {
	return slices.ContainsFunc(s.signals, func(m sample) bool { return m.service() == service && slices.Contains(signals, m.signal) })
}

// symptoms is true when an alert fires or a signal is over its bound. A throttled container is none by itself, as an alert of
// severity info is none: they explain what users feel, or nobody feels them.
func (s *scene) symptoms() bool {
	return len(s.alerts) > 0 || slices.ContainsFunc(s.signals, func(m sample) bool { return m.signal != throttledCPU })
}
