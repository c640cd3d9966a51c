package playbook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
)

// world is a small healthy hotel, to be broken by the cases. Its metrics are evaluated by Prometheus' own engine.
type world struct {
	t *testing.T

	nodes, deployments, services, pods, sets string
	alerts, graph, logs, events              string
	// heals is the second in which alerts end and pods are well again; 0 means never.
	heals float64
	// series are lines of a series and its values, one every 2 s, from samplesBefore seconds ago on.
	series  string
	storage storage.Queryable
	engine  *promql.Engine

	// waited is how many seconds the agent has waited.
	waited float64
}

const (
	samplesBefore = 60
	healthyPods   = "frontend-1 frontend node-1 Running <none>\nsearch-1 search node-1 Running <none>\n" +
		"geo-1 geo node-2 Running <none>\nmysql-geo-1 mysql-geo node-1 Running <none>\n"
)

func (w *world) healed() bool { return w.heals > 0 && w.waited >= w.heals }

func healthy(t *testing.T) *world {
	t.Helper()
	return &world{
		t:     t,
		nodes: "node-1 <none> True\nnode-2 <none> True\n",
		deployments: "frontend 2 2 1 service 8080,9464 http,metrics\nsearch 1 1 1 service 8082 grpc\n" +
			"geo 1 1 1 service 8083,9464 grpc,metrics\nmysql-geo 1 1 1 store 3306 mysql\n",
		services: "frontend frontend http 8080 http\nsearch search grpc 8082 grpc\ngeo geo grpc 8083 grpc\nmysql-geo mysql-geo mysql 3306 mysql\n",
		pods:     healthyPods,
		alerts:   "[]",
		graph: `[{"caller":"frontend","callee":"search","calls":50,"p50Ms":9,"calleeP50Ms":8},
			{"caller":"search","callee":"geo","calls":50,"p50Ms":5,"calleeP50Ms":4},{"caller":"geo","callee":"mysql-geo","calls":50,"p50Ms":1}]`,
	}
}

func (w *world) answer(ctx context.Context, tool string, args map[string]any) (agents.Result, error) {
	command, _ := args["command"].(string)
	out := ""
	switch {
	case tool == "wait":
		seconds, _ := args["seconds"].(float64)
		w.waited += seconds
	case tool == "query_metrics":
		query, _ := args["query"].(string)
		out = w.evaluate(ctx, query)
	case tool == "get_alerts":
		out = w.alerts
		if w.healed() {
			out = "[]"
		}
	case tool == "get_service_graph":
		out = w.graph
	case tool == "get_logs" && args["target"] == "deployment/geo":
		out = w.logs
	case tool == "get_events":
		out = w.events
	case strings.HasPrefix(command, "get nodes"):
		out = w.nodes
	case strings.HasPrefix(command, "get deployments"):
		out = w.deployments
	case strings.HasPrefix(command, "get services"):
		out = w.services
	case strings.HasPrefix(command, "get pods"):
		out = w.pods
		if w.healed() {
			out = healthyPods
		}
	case strings.HasPrefix(command, "get replicasets"):
		out = w.sets
	}
	return agents.Result{Output: out}, nil
}

// evaluate answers a query as Prometheus does.
func (w *world) evaluate(ctx context.Context, query string) string {
	if w.engine == nil {
		loaded := promqltest.LoadedStorage(w.t, "load 2s\n  "+strings.ReplaceAll(strings.TrimSpace(w.series), "\n", "\n  "))
		w.t.Cleanup(func() { require.NoError(w.t, loaded.Close()) })
		w.storage, w.engine = loaded, promqltest.NewTestEngine(w.t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery)
	}
	now := time.Unix(samplesBefore, 0).Add(time.Duration(w.waited * float64(time.Second)))
	q, err := w.engine.NewInstantQuery(ctx, w.storage, nil, query, now)
	require.NoError(w.t, err)
	defer q.Close()
	result := q.Exec(ctx)
	require.NoError(w.t, result.Err, query)
	vector, err := result.Vector()
	require.NoError(w.t, err)
	type series struct {
		Metric map[string]string `json:"metric"`
		Value  []any             `json:"value"`
	}
	all := []series{}
	for _, one := range vector {
		all = append(all, series{one.Metric.Map(), []any{now.Unix(), fmt.Sprint(one.F)}})
	}
	encoded, err := json.Marshal(map[string]any{"resultType": "vector", "result": all})
	require.NoError(w.t, err)
	return string(encoded)
}

// measure puts series in the place of those that the world has, or adds them.
func (w *world) measure(lines ...string) {
	for _, text := range lines {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			series := line[:strings.LastIndex(line, "}")+1]
			var out []string
			for old := range strings.Lines(w.series) {
				if old = strings.TrimSpace(old); !strings.HasPrefix(old, series+" ") {
					out = append(out, old)
				}
			}
			w.series = strings.Join(append(out, line), "\n")
		}
	}
}
