package monitoring_test

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/monitoring"
)

// healthy is a system under load with a sample every 2 s for 40 s: every line is a series and its values.
const healthy = `
up{job="geo",namespace="hotel",service="geo",instance="a"} 1x20
up{job="kubelet",service="kubelet",instance="node-1"} 1x20
up{job="node-exporter",service="node-exporter",instance="node-1"} 1x20
node_nf_conntrack_entries{job="node-exporter",service="node-exporter",instance="node-1",node="node-1"} 90x20
node_nf_conntrack_entries_limit{job="node-exporter",service="node-exporter",instance="node-1",node="node-1"} 131072x20
kube_pod_status_phase{namespace="hotel",pod="geo-1",phase="Running"} 1x20
kube_pod_status_ready{namespace="hotel",pod="geo-1",condition="true"} 1x20
kube_pod_container_status_restarts_total{namespace="hotel",pod="geo-1",container="geo"} 0x20
kube_deployment_spec_replicas{namespace="hotel",deployment="geo"} 1x20
kube_deployment_status_replicas_available{namespace="hotel",deployment="geo"} 1x20
kube_deployment_status_condition{namespace="hotel",deployment="geo",condition="Progressing",status="false"} 0x20
kube_statefulset_replicas{namespace="hotel",statefulset="mysql"} 1x20
kube_statefulset_status_replicas_ready{namespace="hotel",statefulset="mysql"} 1x20
kube_node_status_condition{node="node-1",condition="Ready",status="true"} 1x20
container_cpu_cfs_periods_total{namespace="hotel",pod="geo-1",container="geo"} 0+20x20
container_cpu_cfs_throttled_periods_total{namespace="hotel",pod="geo-1",container="geo"} 0+1x20
http_server_request_duration_seconds_count{namespace="hotel",service="frontend",http_route="/hotels",http_response_status_code="200"} 0+100x20
http_server_request_duration_seconds_count{namespace="hotel",service="frontend",http_route="/reservation",http_response_status_code="409"} 0+20x20
http_server_request_duration_seconds_count{namespace="hotel",service="frontend",http_route="/hotels",http_response_status_code="500"} 0x20
http_server_request_duration_seconds_bucket{namespace="hotel",service="frontend",http_route="/hotels",le="0.1"} 0+100x20
http_server_request_duration_seconds_bucket{namespace="hotel",service="frontend",http_route="/hotels",le="1"} 0+100x20
http_server_request_duration_seconds_bucket{namespace="hotel",service="frontend",http_route="/hotels",le="+Inf"} 0+100x20
rpc_server_duration_seconds_count{namespace="hotel",service="geo",rpc_grpc_status_code="OK"} 0+100x20
rpc_server_duration_seconds_count{namespace="hotel",service="geo",rpc_grpc_status_code="NotFound"} 0+50x20
rpc_server_duration_seconds_count{namespace="hotel",service="geo",rpc_grpc_status_code="Internal"} 0x20
rpc_server_duration_seconds_bucket{namespace="hotel",service="geo",le="0.1"} 0+100x20
rpc_server_duration_seconds_bucket{namespace="hotel",service="geo",le="1"} 0+100x20
rpc_server_duration_seconds_bucket{namespace="hotel",service="geo",le="+Inf"} 0+100x20
rpc_client_duration_seconds_count{namespace="hotel",service="search",rpc_service="hotel.Geo",rpc_grpc_status_code="OK"} 0+100x20
rpc_client_duration_seconds_count{namespace="hotel",service="search",rpc_service="hotel.Geo",rpc_grpc_status_code="Unavailable"} 0x20
db_client_operation_duration_seconds_count{namespace="hotel",service="geo",db_system_name="mysql",error_type=""} 0+100x20
db_client_operation_duration_seconds_count{namespace="hotel",service="geo",db_system_name="mysql",error_type="1142"} 0x20
loadgen_requests_total{route="search",code="200",outcome="ok"} 0+60x20
loadgen_requests_total{route="search",code="0",outcome="timeout"} 0x20
loadgen_request_duration_seconds_bucket{route="search",le="0.1"} 0+60x20
loadgen_request_duration_seconds_bucket{route="search",le="1"} 0+60x20
loadgen_request_duration_seconds_bucket{route="search",le="+Inf"} 0+60x20
loadgen_request_duration_seconds_count{route="search"} 0+60x20
`

func definition() *workloads.Definition {
	return &workloads.Definition{
		SLOs: []workloads.SLO{
			{Name: "search-availability", Type: workloads.Availability, Routes: []string{"search"}, Target: 0.99},
			{Name: "search-p95", Type: workloads.Latency, Routes: []string{"search"}, Quantile: 0.95, Threshold: 300 * time.Millisecond},
		},
		Services: []workloads.Expectation{
			{Service: "frontend", Errors: 0.05, Latency: 300 * time.Millisecond},
			{Service: "geo", Errors: 0.05, Latency: 300 * time.Millisecond},
		},
	}
}

// firing evaluates all rules every 2 s over series and returns when each alert first fired.
func firing(t *testing.T, series string) map[string]time.Duration {
	t.Helper()
	text, err := monitoring.New(definition(), "hotel").Rules()
	require.NoError(t, err)
	dir := t.TempDir()
	var files []string
	for name, content := range text {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		files = append(files, file)
	}
	slices.Sort(files)
	storage := promqltest.LoadedStorage(t, "load 2s\n  "+strings.ReplaceAll(strings.TrimSpace(series), "\n", "\n  "))
	t.Cleanup(func() { require.NoError(t, storage.Close()) })
	engine := promqltest.NewTestEngine(t, false, 30*time.Second, promqltest.DefaultMaxSamplesPerQuery)
	manager := rules.NewManager(&rules.ManagerOptions{
		Appendable: storage, Queryable: storage, QueryFunc: rules.EngineQueryFunc(engine, storage), Context: t.Context(),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {}, ExternalURL: &url.URL{}, Logger: slog.New(slog.DiscardHandler),
		Registerer: prometheus.NewRegistry(),
	})
	groups, errs := manager.LoadGroups(2*time.Second, labels.EmptyLabels(), "", nil, false, files...)
	require.Empty(t, errs)
	var names []string
	for name := range groups {
		names = append(names, name)
	}
	slices.Sort(names)
	out := map[string]time.Duration{}
	for at := time.Duration(0); at <= 40*time.Second; at += 2 * time.Second {
		for _, name := range names {
			groups[name].Eval(t.Context(), time.Unix(0, 0).UTC().Add(at))
			for _, r := range groups[name].Rules() {
				require.NoError(t, r.LastError(), "%s", r.Name())
			}
			for _, r := range groups[name].AlertingRules() {
				if _, seen := out[r.Name()]; !seen && r.State() == rules.StateFiring {
					out[r.Name()] = at
				}
			}
		}
	}
	return out
}

var _ promql.QueryEngine = (*promql.Engine)(nil)

func TestNothingFiresWhenAllIsWell(t *testing.T) {
	t.Parallel()
	require.Empty(t, firing(t, healthy))
}

// TestSymptomsFire breaks one thing at a time, 10 s into the load, and wants its alerts, and no others, within 15 s.
func TestSymptomsFire(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		// lines replace the lines of healthy that have the same series, or are added.
		lines []string
		want  []string
	}{
		{"crash loop", []string{`kube_pod_container_status_waiting_reason{namespace="hotel",pod="geo-1",container="geo",reason="CrashLoopBackOff"} _x5 1x2 _x2 1x10`}, []string{"KubePodCrashLooping"}},
		{"pod not ready", []string{`kube_pod_status_ready{namespace="hotel",pod="geo-1",condition="true"} 1x4 0x16`}, []string{"KubePodNotReady"}},
		{"finished pod", []string{
			`kube_pod_status_ready{namespace="hotel",pod="geo-1",condition="true"} 1x4 0x16`,
			`kube_pod_status_phase{namespace="hotel",pod="geo-1",phase="Succeeded"} 0x4 1x16`,
		}, nil},
		{"pod on its way out", []string{
			`kube_pod_status_ready{namespace="hotel",pod="geo-1",condition="true"} 1x4 0x16`,
			`kube_pod_deletion_timestamp{namespace="hotel",pod="geo-1"} _x4 1700x16`,
		}, nil},
		{"image that cannot be pulled", []string{`kube_pod_container_status_waiting_reason{namespace="hotel",pod="geo-1",container="geo",reason="ImagePullBackOff"} _x5 1x15`}, []string{"KubeContainerWaiting"}},
		{"out of memory", []string{
			`kube_pod_container_status_last_terminated_reason{namespace="hotel",pod="geo-1",container="geo",reason="OOMKilled"} _x5 1x15`,
			`kube_pod_container_status_restarts_total{namespace="hotel",pod="geo-1",container="geo"} 0x5 1x15`,
		}, []string{"KubeContainerOOMKilled"}},
		{"replicas missing", []string{`kube_deployment_status_replicas_available{namespace="hotel",deployment="geo"} 1x4 0x16`}, []string{"KubeDeploymentReplicasMismatch"}},
		{"a short restart", []string{`kube_deployment_status_replicas_available{namespace="hotel",deployment="geo"} 1x4 0x1 1x15`}, nil},
		{"stateful replicas missing", []string{`kube_statefulset_status_replicas_ready{namespace="hotel",statefulset="mysql"} 1x4 0x16`}, []string{"KubeStatefulSetReplicasMismatch"}},
		{"rollout stuck", []string{`kube_deployment_status_condition{namespace="hotel",deployment="geo",condition="Progressing",status="false"} 0x4 1x16`}, []string{"KubeDeploymentRolloutStuck"}},
		{"node gone", []string{
			`kube_node_status_condition{node="node-1",condition="Ready",status="true"} 1x4 0x16`,
			`kube_node_spec_taint{node="node-1",key="node.kubernetes.io/unreachable",effect="NoSchedule"} _x5 1x15`,
		}, []string{"KubeNodeNotReady", "KubeNodeUnreachable"}},
		{"cordoned node", []string{`kube_node_spec_unschedulable{node="node-1"} 0x4 1x16`}, nil},
		{"connection tracking table nearly full", []string{
			`node_nf_conntrack_entries_limit{job="node-exporter",service="node-exporter",instance="node-1",node="node-1"} 131072x4 110x16`,
		}, []string{"NodeHighNumberConntrackEntriesUsed"}},
		{"throttled", []string{`container_cpu_cfs_throttled_periods_total{namespace="hotel",pod="geo-1",container="geo"} 0x5 1+15x15`}, []string{"CPUThrottlingHigh"}},
		{"target down", []string{`up{job="geo",namespace="hotel",service="geo",instance="a"} 1x4 0x16`}, []string{"TargetDown"}},
		{"one failed scrape", []string{`up{job="geo",namespace="hotel",service="geo",instance="a"} 1x4 0 1x15`}, nil},
		{"failing rpc", []string{`rpc_server_duration_seconds_count{namespace="hotel",service="geo",rpc_grpc_status_code="Internal"} 0x4 0+100x16`}, []string{"HighErrorRate"}},
		{"failing http", []string{`http_server_request_duration_seconds_count{namespace="hotel",service="frontend",http_route="/hotels",http_response_status_code="500"} 0x4 0+20x16`}, []string{"HighErrorRate"}},
		{"a few errors", []string{`rpc_server_duration_seconds_count{namespace="hotel",service="geo",rpc_grpc_status_code="Internal"} 0x4 0+2x16`}, nil},
		{"slow rpc", []string{`rpc_server_duration_seconds_bucket{namespace="hotel",service="geo",le="0.1"} 0+100x4 400x16`}, []string{"HighRequestLatency"}},
		{"unreachable callee", []string{`rpc_client_duration_seconds_count{namespace="hotel",service="search",rpc_service="hotel.Geo",rpc_grpc_status_code="Unavailable"} 0x4 0+100x16`}, []string{"HighClientErrorRate"}},
		{"denied by the store", []string{`db_client_operation_duration_seconds_count{namespace="hotel",service="geo",db_system_name="mysql",error_type="1142"} 0x4 0+100x16`}, []string{"HighDatabaseErrorRate"}},
		{"users see errors", []string{`loadgen_requests_total{route="search",code="0",outcome="timeout"} 0x4 0+20x16`}, []string{"ErrorBudgetBurn"}},
		{"one user sees one error", []string{`loadgen_requests_total{route="search",code="0",outcome="timeout"} 0x4 1x16`}, nil},
		{"users wait", []string{`loadgen_request_duration_seconds_bucket{route="search",le="0.1"} 0+60x4 240x16`}, []string{"LatencySLOViolation"}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := firing(t, replace(healthy, tc.lines))
			var names []string
			for name, at := range got {
				names = append(names, name)
				require.LessOrEqual(t, at, 25*time.Second, name)
				require.GreaterOrEqual(t, at, 8*time.Second, name)
			}
			slices.Sort(names)
			require.Equal(t, tc.want, names)
		})
	}
}

// replace puts lines in the place of the lines of text with the same series.
func replace(text string, lines []string) string {
	for _, line := range lines {
		series := line[:strings.LastIndex(line, "}")+1]
		var out []string
		for old := range strings.Lines(text) {
			if !strings.HasPrefix(old, series+" ") {
				out = append(out, strings.TrimSuffix(old, "\n"))
			}
		}
		text = strings.Join(append(out, line), "\n")
	}
	return text
}
