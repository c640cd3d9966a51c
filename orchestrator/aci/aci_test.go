package aci_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/agents/nop"
	"github.com/gameday-bench/gameday/orchestrator/aci"
	"github.com/gameday-bench/gameday/orchestrator/aci/proxy"
)

// fakeAPI is as much of an API server as opening a session needs, and some pods.
func fakeAPI(pods int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, _ := io.ReadAll(r.Body)
		send := func(s string) { _, _ = io.WriteString(w, s) }
		switch {
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusCreated)
			if len(body) > 0 && body[0] == '{' {
				_, _ = w.Write(body)
				return
			}
			kind := map[bool]string{true: "ClusterRoleBinding", false: "ClusterRole"}[strings.HasSuffix(r.URL.Path, "bindings")]
			send(`{"kind":"` + kind + `","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"oncall"}}`)
		case r.URL.Path == "/api":
			send(`{"kind":"APIVersions","versions":["v1"]}`)
		case r.URL.Path == "/apis":
			send(`{"kind":"APIGroupList","groups":[{"name":"apps"},{"name":"chaos-mesh.org"}]}`)
		case r.URL.Path == "/api/v1":
			send(`{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["get","list"]}]}`)
		case strings.HasSuffix(r.URL.Path, "/pods"):
			var items []string
			for i := range pods {
				items = append(items, fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"pod-%05d"}}`, i))
			}
			send(`{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[` + strings.Join(items, ",") + `]}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			send(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"not found"}`)
		}
	})
}

type setup struct {
	brief  agents.Brief
	pods   int
	config aci.Config
}

func open(t *testing.T, s setup) *aci.Session {
	t.Helper()
	server := httptest.NewServer(fakeAPI(s.pods))
	t.Cleanup(server.Close)
	c := s.config
	c.Admin, c.Rules, c.Brief = &rest.Config{Host: server.URL}, proxy.DefaultRules(), s.brief
	session, err := aci.Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return session
}

func do(t *testing.T, s agents.Cloud, tool string, args any) agents.Result {
	t.Helper()
	r, err := agents.Do(t.Context(), s, tool, args)
	require.NoError(t, err)
	return r
}

type m = map[string]any

func TestCatalogue(t *testing.T) {
	t.Parallel()
	s := open(t, setup{brief: agentstest.Brief()})
	var names []string
	for _, tool := range s.Tools() {
		names = append(names, tool.Name)
		require.NotEmpty(t, tool.Description)
		var schema m
		require.NoError(t, json.Unmarshal(tool.InputSchema, &schema))
		require.Equal(t, "object", schema["type"], tool.Name)
		require.Equal(t, false, schema["additionalProperties"], tool.Name)
	}
	require.Equal(t, []string{
		"get_alerts", "get_events", "get_logs", "get_service_graph", "get_trace", "kubectl", "list_metrics", "query_metrics",
		"query_metrics_range", "read_output", "search_traces", "submit_detection", "submit_diagnosis", "submit_localization",
		"submit_mitigation", "wait",
	}, names)
	for _, tool := range s.Tools() {
		if tool.Name == "submit_diagnosis" {
			require.Contains(t, string(tool.InputSchema), `"enum":["buggy-release"`)
		}
	}
}

func TestSubmissions(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakeClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	s := open(t, setup{brief: agentstest.Brief(), config: aci.Config{Clock: clock}})
	for _, tc := range []struct {
		tool, want string
		args       m
	}{
		{"submit_detection", "malformed_submission", m{}},
		{"submit_detection", "malformed_submission", m{"anomaly": "yes"}},
		{"submit_detection", "malformed_submission", m{"anomaly": true, "sure": true}},
		{"submit_detection", "accepted: detection", m{"anomaly": true}},
		{"submit_detection", "duplicate_submission", m{"anomaly": false}},
		{"submit_localization", "malformed_submission", m{"components": []m{}}},
		{"submit_localization", "is not one of: ConfigMap, Deployment", m{"components": []m{{"kind": "Planet", "name": "x"}}}},
		{"submit_localization", "is no name", m{"components": []m{{"kind": "Node", "name": "two words"}}}},
		{"submit_localization", "is named twice", m{"components": []m{{"kind": "Node", "name": "n"}, {"kind": "node", "name": "n", "namespace": "x"}}}},
		{"submit_localization", "name 1 to 10", m{"components": repeat(11)}},
		{"submit_localization", "accepted", m{"components": []m{{"kind": "deployment", "name": "geo"}, {"kind": "Node", "name": "n", "namespace": "x"}}}},
		{"submit_diagnosis", "is not one of: buggy-release", m{"component": m{"kind": "Node", "name": "n"}, "mechanism": "gremlins"}},
		{"submit_diagnosis", "accepted", m{"component": m{"kind": "Node", "name": "n"}, "mechanism": "network-delay", "field": "spec.x"}},
		{"submit_mitigation", "accepted", m{}},
	} {
		out := do(t, s, tc.tool, tc.args)
		require.Contains(t, out.Output, tc.want, "%v", tc.args)
		require.Equal(t, !strings.HasPrefix(tc.want, "accepted"), out.IsError)
	}
	got := s.Submission()
	require.True(t, got.Detection.Anomaly)
	require.Equal(t, clock.Now(), got.Detection.At)
	require.Equal(t, []agents.Component{{Kind: "Deployment", Name: "geo", Namespace: "hotel"}, {Kind: "Node", Name: "n"}}, got.Localization.Components)
	require.Equal(t, "network-delay", got.Diagnosis.Mechanism)
	require.NotNil(t, got.Mitigation)

	brief := agentstest.Brief()
	brief.Tasks = []string{"detection"}
	s = open(t, setup{brief: brief})
	require.Contains(t, do(t, s, "submit_mitigation", m{}).Output, "task_not_asked")
}

func repeat(n int) []m {
	var out []m
	for i := range n {
		out = append(out, m{"kind": "Node", "name": fmt.Sprintf("n%d", i)})
	}
	return out
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	brief := agentstest.Brief()
	brief.Budget = agents.Budget{Steps: 2}
	s := open(t, setup{brief: brief})
	do(t, s, "nonsense", m{})
	do(t, s, "submit_detection", m{"anomaly": true})
	_, err := agents.Do(t.Context(), s, "kubectl", m{"command": "get pods"})
	var budget *agents.BudgetError
	require.ErrorIs(t, err, agents.ErrBudget)
	require.ErrorAs(t, err, &budget)
	require.Equal(t, agents.BudgetSteps, budget.Name)
	require.Equal(t, agents.BudgetSteps, s.Usage().Exhausted)
	require.Equal(t, 2, s.Usage().Steps)

	clock := clocktesting.NewFakeClock(time.Now())
	brief.Budget = agents.Budget{Time: time.Minute, Tokens: 100, Cost: 1}
	s = open(t, setup{brief: brief, config: aci.Config{Clock: clock}})
	require.NoError(t, s.ReportUsage(100, 0.5))
	require.ErrorIs(t, s.ReportUsage(1, 0), agents.ErrBudget)
	require.Error(t, s.ReportUsage(-1, 0))
	for _, cost := range []float64{-1, 1e308, math.Inf(1), math.NaN()} {
		require.ErrorContains(t, s.ReportUsage(0, cost), "report usage: ")
	}
	require.ErrorContains(t, s.ReportUsage(math.MaxInt64, 0), "report usage: ")
	for range 3 {
		require.ErrorIs(t, s.ReportUsage(1e12, 1e9), agents.ErrBudget)
	}
	require.Equal(t, int64(1e12), s.Usage().Tokens, "sums do not overflow")
	require.InDelta(t, 1e9, s.Usage().CostUSD, 0)
	_, err = agents.Do(t.Context(), s, "wait", m{"seconds": 0})
	require.ErrorAs(t, err, &budget)
	require.Equal(t, agents.BudgetTokens, budget.Name)
	require.Equal(t, agents.BudgetTokens, s.Usage().Exhausted)

	s = open(t, setup{brief: brief, config: aci.Config{Clock: clock}})
	require.NoError(t, s.ReportUsage(0, 1))
	require.EqualError(t, s.ReportUsage(0, 0.01), "budget exhausted: cost (limit 1 USD)")
	require.InDelta(t, 1.01, s.Usage().CostUSD, 1e-9)

	s = open(t, setup{brief: brief, config: aci.Config{Clock: clock}})
	waiting := make(chan error, 1)
	go func() {
		_, err := agents.Do(context.Background(), s, "wait", m{"seconds": 100})
		waiting <- err
	}()
	require.Eventually(t, func() bool { return clock.Waiters() >= 2 }, 5*time.Second, time.Millisecond)
	clock.Step(61 * time.Second)
	err = <-waiting
	require.ErrorAs(t, err, &budget)
	require.Equal(t, agents.BudgetTime, budget.Name)
	_, err = agents.Do(t.Context(), s, "wait", m{"seconds": 0})
	require.ErrorIs(t, err, agents.ErrBudget)
}

func TestPaging(t *testing.T) {
	t.Parallel()
	s := open(t, setup{brief: agentstest.Brief(), pods: 3000})
	r := do(t, s, "kubectl", m{"command": "get pods -o name"})
	require.True(t, r.Truncated)
	require.LessOrEqual(t, len(r.Output), aci.MaxOutput+200)
	var whole strings.Builder
	offset := 0
	for {
		text, marker, more := strings.Cut(r.Output, "\n[output truncated: ")
		whole.WriteString(text)
		if !more {
			require.False(t, r.Truncated)
			break
		}
		var from, to, total int
		_, err := fmt.Sscanf(marker, "bytes %d-%d of %d;", &from, &to, &total)
		require.NoError(t, err)
		require.Equal(t, offset, from)
		offset = to
		require.Contains(t, marker, fmt.Sprintf(`read_output {"id":"o1","offset":%d}`, to))
		r = do(t, s, "read_output", m{"id": "o1", "offset": to})
	}
	require.Len(t, strings.Fields(whole.String()), 3000)
	require.True(t, do(t, s, "read_output", m{"id": "o9", "offset": 0}).IsError)
	require.True(t, do(t, s, "read_output", m{"id": "o1", "offset": 1 << 30}).IsError)
}

func TestTranscript(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var buf bytes.Buffer
	write := aci.JSONLines(&buf)
	s := open(t, setup{brief: agentstest.Brief(), config: aci.Config{Transcript: func(e aci.Entry) error {
		mu.Lock()
		defer mu.Unlock()
		return write(e)
	}}})
	do(t, s, "submit_detection", m{"anomaly": true})
	_, err := s.Call(t.Context(), "kubectl", json.RawMessage(`{"command":`))
	require.NoError(t, err)
	do(t, s, "kubectl", m{"command": "get pods"})
	require.NoError(t, s.Close())
	var entries []aci.Entry
	for line := range strings.Lines(buf.String()) {
		var e aci.Entry
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		entries = append(entries, e)
	}
	require.Len(t, entries, 3)
	require.Equal(t, "submit_detection", entries[0].Tool)
	require.JSONEq(t, `{"anomaly":true}`, string(entries[0].Args))
	require.Equal(t, "accepted: detection", entries[0].Output)
	require.True(t, entries[1].IsError)
	require.Equal(t, 3, entries[2].Seq)
	require.NotZero(t, entries[2].DurationMS)

	s = open(t, setup{brief: agentstest.Brief(), config: aci.Config{Transcript: func(aci.Entry) error { return io.ErrShortWrite }}})
	do(t, s, "wait", m{"seconds": 0})
	require.ErrorIs(t, s.Close(), io.ErrShortWrite)
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s := open(t, setup{brief: agentstest.Brief()})
	ended := make(chan error, 1)
	go func() {
		_, err := agents.Do(context.Background(), s, "wait", m{"seconds": 100})
		ended <- err
	}()
	require.Eventually(t, func() bool { return s.Usage().Steps == 1 }, 5*time.Second, time.Millisecond)
	workspace := s.Workspace()
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-ended, aci.ErrClosed)
	_, err := agents.Do(t.Context(), s, "wait", m{"seconds": 0})
	require.ErrorIs(t, err, aci.ErrClosed)
	require.NoDirExists(t, workspace)
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	s := open(t, setup{brief: agentstest.Brief()})
	for _, tc := range []struct{ tool, args, want string }{
		{"nosuch", `{}`, "unknown_tool"},
		{"kubectl", `{}`, "malformed_args"},
		{"kubectl", `[]`, "malformed_args"},
		{"kubectl", `{"command":"get pods"} {}`, "malformed_args"},
		{"kubectl", `{"command":"get pods","shell":true}`, "malformed_args"},
		{"wait", `{"seconds":1000}`, "malformed_args"},
		{"wait", `{"seconds":-1}`, "malformed_args"},
		{"query_metrics", `{"query":"up","time":"teatime"}`, "malformed_args"},
		{"query_metrics", `{"query":"up"}`, "there is no such telemetry"},
		{"search_traces", `{"service":"*"}`, "there is no such telemetry"},
		{"get_logs", `{"target":"--kubeconfig=x"}`, "malformed_args"},
	} {
		r, err := s.Call(t.Context(), tc.tool, json.RawMessage(tc.args))
		require.NoError(t, err)
		require.True(t, r.IsError, tc.args)
		require.Contains(t, r.Output, tc.want, tc.args)
	}
}

func TestNop(t *testing.T) {
	t.Parallel()
	s := open(t, setup{brief: agentstest.Brief()})
	require.NoError(t, nop.Agent{}.Solve(t.Context(), s.Brief(), s))
	require.False(t, s.Submission().Detection.Anomaly)
	require.Nil(t, s.Submission().Localization)
}
