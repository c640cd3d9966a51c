package aci_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/agents/playbook"
	"github.com/gameday-bench/gameday/orchestrator/aci"
	"github.com/gameday-bench/gameday/orchestrator/aci/proxy"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
	"github.com/gameday-bench/gameday/orchestrator/telemetry"
)

// rate is the load on the application, in requests per second.
const rate = 30

// fixture is the cluster of the live tests: the real thing behind the interface.
var fixture = clustertest.New(&embedded.Provider{}, cluster.Spec{Nodes: 3})

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }

// openLive opens a session on the rig's cluster, for its namespace.
func openLive(t *testing.T, r *clustertest.Rig) *aci.Session {
	t.Helper()
	brief := agentstest.Brief()
	brief.Namespace, brief.Budget = r.Namespace, agents.Budget{}
	prometheus, jaeger, err := telemetry.Endpoints(r.REST)
	require.NoError(t, err)
	session, err := aci.Open(t.Context(), aci.Config{
		Brief: brief, Admin: r.REST, Rules: proxy.DefaultRules(),
		Prometheus: proxy.Endpoint{BaseURL: prometheus.URL, Transport: prometheus.Transport},
		Jaeger:     proxy.Endpoint{BaseURL: jaeger.URL, Transport: jaeger.Transport},
		Transcript: func(e aci.Entry) error {
			t.Logf("%s %s (%.0f ms, error %v)\n%.3000s", e.Tool, e.Args, e.DurationMS, e.IsError, e.Output)
			return nil
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, session.Close()) })
	return session
}

func kubectl(t *testing.T, s *aci.Session, command string, stdin ...string) agents.Result {
	t.Helper()
	args := map[string]any{"command": command}
	if len(stdin) > 0 {
		args["stdin"] = stdin[0]
	}
	raw, err := json.Marshal(args)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	result, err := s.Call(ctx, "kubectl", raw)
	require.NoError(t, err)
	return result
}

// TestLiveHidesTheInjector reads all that a cluster tells about itself.
func TestLiveHidesTheInjector(t *testing.T) {
	s := openLive(t, fixture.Rig(t))
	for _, command := range []string{
		"get nodes", "get ns", "get all -A", "api-resources", "api-versions", "get crd", "get validatingwebhookconfigurations",
		"get mutatingwebhookconfigurations", "get events -A", "explain pods.spec.containers.name", "explain networkchaos", "get networkchaos -A",
		"get ns chaos-mesh", "get pods -n chaos-mesh", "get clusterroles", "get clusterrolebindings", "auth can-i --list", "auth can-i create pods",
		"auth can-i get networkchaos", "auth whoami", "version", "describe nodes", "get --raw /apis", "get --raw /metrics", "get --raw /openapi/v2",
		"create token default -n kube-system", "get pods -n kube-system -o wide", "config view", "get svc -A -o yaml",
	} {
		out := kubectl(t, s, command)
		require.NotContains(t, out.Output, "chaos-mesh.org", command)
		require.NotContains(t, out.Output, "chaos-controller", command)
	}
}

// TestLivePod takes one pod through what an operator does with pods.
func TestLivePod(t *testing.T) {
	s := openLive(t, fixture.Rig(t))
	const pod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"box","labels":{"app":"box","gameday.dev/mark":"x"}},"spec":{"terminationGracePeriodSeconds":1,"containers":[{"name":"box","image":"registry.local/library/busybox:1.36","command":["sh","-c","echo started; while true; do echo tick; sleep 1; done"]}]}}`
	kubectl(t, s, "delete pod box --ignore-not-found")
	require.False(t, kubectl(t, s, "apply -f -", pod).IsError)
	t.Cleanup(func() { kubectl(t, s, "delete pod box --wait=false") })
	require.False(t, kubectl(t, s, "wait --for=condition=Ready pod/box --timeout=40s").IsError)
	require.NoError(t, os.WriteFile(s.Workspace()+"/hello.txt", []byte("hello from the workspace\n"), 0o600))
	for _, tc := range []struct{ command, stdin, want string }{
		{"get pod box -o yaml", "", "name: box"},
		{"exec box -- cat /etc/hostname /etc/resolv.conf", "", "nameserver"},
		{"exec box -- sh -c 'echo $((6*7)) && hostname'", "", "42"},
		{"exec -i box -- sh", "echo in; exit 3\n", "exit code 3"},
		{"exec -it box -- echo tty", "", "tty"},
		{"logs box --tail=2", "", "tick"},
		{"logs -f box --tail=1", "", "stopped after 5s"},
		{"get pods -w", "", "stopped after 5s"},
		{"cp hello.txt box:/tmp/hello.txt", "", ""},
		{"exec box -- cat /tmp/hello.txt", "", "hello from the workspace"},
		{"cp box:/tmp/hello.txt back.txt", "", ""},
		{"cp box:/tmp/hello.txt ../back.txt", "", "only files of the workspace"},
		{"label pod box tier=test", "", "labeled"},
		{"annotate pod box note=1", "", "annotated"},
		{"create configmap cm --from-literal=a=1", "", "created"},
		{"diff -f -", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cm"},"data":{"a":"2"}}`, "+  a: \"2\""},
		{"patch configmap cm -p '{\"data\":{\"a\":\"3\"}}'", "", "patched"},
		{"get cm cm -o jsonpath='{.data.a}'", "", "3"},
		{"delete cm cm", "", "deleted"},
		{"describe pod box", "", "Started"},
		{"events --for pod/box", "", "Started"},
		{"auth can-i create pods", "", "yes"},
		{"auth can-i create clusterrolebindings", "", "no"},
		{"auth can-i --list", "", "*.apps"},
		{"auth whoami", "", "oncall"},
		{"version", "", "Client Version: v1.35"},
		{"create token default", "", "."},
		{"run quick --image=registry.local/library/busybox:1.36 --restart=Never --rm -i -- echo quick", "", "quick"},
		{"create namespace chaos-mesh", "", "Forbidden"},
		{"delete pod box --grace-period=0 --force", "", "deleted"},
	} {
		out := kubectl(t, s, tc.command, tc.stdin)
		require.Contains(t, out.Output, tc.want, tc.command)
		require.NotContains(t, out.Output, "gameday.dev/mark", tc.command)
	}
	data, err := os.ReadFile(s.Workspace() + "/back.txt")
	require.NoError(t, err)
	require.Equal(t, "hello from the workspace\n", string(data))
}

// TestLiveTools calls every reading tool against the application hotel under load.
func TestLiveTools(t *testing.T) {
	site := fixture.Site(t, rate)
	site.Value("calls of geo", `rate(rpc_server_duration_seconds_count{service="geo"}[30s])`, func(v float64) bool { return v > 0 })
	probes := fmt.Sprintf(`prober_probe_total{namespace=%q,pod=~"geo-.*",probe_type="Readiness",result="successful"}`, site.Namespace)
	site.Value("probes of geo", probes, clustertest.Some)
	s := openLive(t, site.Rig)
	for _, tc := range []struct {
		tool, want string
		args       m
	}{
		{"get_alerts", "[", m{"pending": true}},
		{"list_metrics", "rpc_server_duration_seconds_bucket", m{"match": "rpc_server"}},
		{"query_metrics", "geo", m{"query": `sum by (service) (rate(rpc_server_duration_seconds_count[30s]))`}},
		{"query_metrics_range", "matrix", m{"query": "sum(up)", "start": "1m"}},
		{"search_traces", "traceId", m{"service": "frontend", "limit": 3}},
		{"get_service_graph", "mysql-geo", m{"lookback_seconds": 60}},
		{"get_logs", "geo", m{"target": "deployment/geo", "tail": 5}},
		{"get_logs", "", m{"target": "app.kubernetes.io/component=service", "contains": "error"}},
		{"get_events", "Deployment/geo", m{"for": "deployment/geo"}},
		{"kubectl", "mysql-geo", m{"command": "get pods -o wide"}},
		{"kubectl", "NAME", m{"command": "top nodes"}},
		{"kubectl", "information_schema", m{"command": "exec deploy/mysql-geo -- sh -c 'mysql -uroot -p$MYSQL_ROOT_PASSWORD -e \"show databases\"'"}},
		{"kubectl", "200 OK", m{"command": "exec deploy/geo -- sh -c 'nslookup mysql-geo; nc -zv mysql-geo 3306; curl -s -m 3 -i frontend:8080/healthz | head -5; wget -qO- http://frontend:8080/readyz'"}},
	} {
		r := do(t, s, tc.tool, tc.args)
		require.False(t, r.IsError, "%s %v: %s", tc.tool, tc.args, r.Output)
		require.Contains(t, r.Output, tc.want, "%s %v", tc.tool, tc.args)
	}
}

// TestLivePlaybook lets the playbook find and mend a service that was scaled to nothing.
func TestLivePlaybook(t *testing.T) {
	site := fixture.Site(t, rate)
	scale := func(replicas string) {
		_, err := site.Kube.AppsV1().Deployments(site.Namespace).Patch(context.WithoutCancel(t.Context()), "geo", types.MergePatchType,
			[]byte(`{"spec":{"replicas":`+replicas+`}}`), metav1.PatchOptions{}, "scale")
		require.NoError(t, err)
	}
	scale("0")
	t.Cleanup(func() { scale("1") })
	site.Misses("search-availability")
	s := openLive(t, site.Rig)
	require.NoError(t, playbook.Agent{}.Solve(t.Context(), s.Brief(), s))
	got := s.Submission()
	require.NotNil(t, got.Detection)
	require.True(t, got.Detection.Anomaly)
	require.NotNil(t, got.Localization)
	require.Contains(t, fmt.Sprint(got.Localization.Components), "geo")
	site.Healthy()
}
