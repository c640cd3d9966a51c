package playbook_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/agents/playbook"
	"github.com/gameday-bench/gameday/problems"
)

// world is a small healthy hotel, to be broken by the cases.
type world struct {
	nodes, deployments, services, pods string
	alerts, graph, logs, events        string
}

func healthy() world {
	return world{
		nodes: "node-1 <none> True\nnode-2 <none> True\n",
		deployments: "frontend 2 2 1 service 8080,9464 http,metrics\nsearch 1 1 1 service 8082 grpc\n" +
			"geo 1 1 1 service 8083,9464 grpc,metrics\nmysql-geo 1 1 1 store 3306 mysql\n",
		services: "frontend frontend http 8080 http\nsearch search grpc 8082 grpc\ngeo geo grpc 8083 grpc\nmysql-geo mysql-geo mysql 3306 mysql\n",
		pods: "frontend-1 frontend node-1 Running <none>\nsearch-1 search node-1 Running <none>\n" +
			"geo-1 geo node-2 Running <none>\nmysql-geo-1 mysql-geo node-1 Running <none>\n",
		alerts: "[]",
		graph: `[{"caller":"frontend","callee":"search","calls":50,"p50Ms":9,"calleeP50Ms":8},
			{"caller":"search","callee":"geo","calls":50,"p50Ms":5,"calleeP50Ms":4},{"caller":"geo","callee":"mysql-geo","calls":50,"p50Ms":1}]`,
	}
}

func (w world) answer(_ context.Context, tool string, args map[string]any) (agents.Result, error) {
	command, _ := args["command"].(string)
	out := ""
	switch {
	case tool == "get_alerts":
		out = w.alerts
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
	}
	return agents.Result{Output: out}, nil
}

const (
	geoErrors = `[{"name":"HighErrorRate","labels":{"namespace":"hotel","service":"frontend"}},{"name":"HighErrorRate","labels":{"namespace":"hotel","service":"geo"}}]`
	slowGeo   = `[{"name":"HighRequestLatency","labels":{"namespace":"hotel","service":"geo"}}]`
	slowSite  = `[{"name":"HighRequestLatency","labels":{"namespace":"hotel","service":"search"}}]`
)

func TestMechanismsAreOfTheTaxonomy(t *testing.T) {
	t.Parallel()
	said := playbook.Mechanisms()
	require.NotEmpty(t, said)
	require.Subset(t, taxonomy(t), said)
	require.IsIncreasing(t, said, "each once")
}

func taxonomy(t *testing.T) []string {
	t.Helper()
	all, err := problems.LoadTaxonomy()
	require.NoError(t, err)
	return all.MechanismIDs()
}

func TestRules(t *testing.T) {
	t.Parallel()
	vocabulary := taxonomy(t)
	for _, tc := range []struct {
		name      string
		breaks    func(w *world)
		anomaly   bool
		component string // kind/name of the diagnosis
		mechanism string
		repair    string // a command that must be among the repair; empty: nothing is repaired
	}{
		{name: "healthy", breaks: func(*world) {}},
		{name: "another namespace's alert", breaks: func(w *world) { w.alerts = `[{"name":"X","labels":{"namespace":"other"}}]` }},
		{name: "node not ready", breaks: func(w *world) { w.nodes = "node-1 <none> True\nnode-2 <none> Unknown\n" }, anomaly: true, component: "Node/node-2", mechanism: "node-failure", repair: "cordon node-2"},
		{name: "scaled to zero", breaks: func(w *world) {
			w.deployments = strings.Replace(w.deployments, "geo 1 1", "geo 0 <none>", 1)
			w.events = "Scaled down replica set geo-7c9 from 3 to 0"
		}, anomaly: true, component: "Deployment/geo", mechanism: "scaled-to-zero", repair: "scale deployment/geo --replicas=3"},
		{name: "wrong target port", breaks: func(w *world) { w.services = strings.Replace(w.services, "geo geo grpc", "geo geo 18083", 1) }, anomaly: true, component: "Service/geo", mechanism: "wrong-port", repair: `patch service geo --type=json -p '[{"op":"replace","path":"/spec/ports/0/targetPort","value":"grpc"}]'`},
		{name: "grant revoked", breaks: func(w *world) {
			w.alerts, w.logs = geoErrors, `error="Error 1142 (42000): SELECT command denied to user 'geo'@'%' for table 'points'"`
		}, anomaly: true, component: "Deployment/mysql-geo", mechanism: "permission-revoked"},
		{name: "buggy release", breaks: func(w *world) {
			w.alerts, w.deployments = geoErrors, strings.Replace(w.deployments, "geo 1 1 1", "geo 1 1 2", 1)
		}, anomaly: true, component: "Deployment/geo", mechanism: "buggy-release", repair: "rollout undo deployment/geo"},
		{name: "buggy release whose only alert is about time", breaks: func(w *world) {
			w.alerts, w.deployments = slowGeo, strings.Replace(w.deployments, "geo 1 1 1", "geo 1 <none> 2", 1)
		}, anomaly: true, component: "Deployment/geo", mechanism: "buggy-release", repair: "rollout undo deployment/geo"},
		{name: "buggy release that callers see", breaks: func(w *world) {
			w.alerts, w.deployments = slowGeo, strings.Replace(w.deployments, "geo 1 1 1", "geo 1 1 2", 1)
			w.graph = `[{"caller":"search","callee":"geo","calls":58,"errors":4,"p50Ms":5,"calleeP50Ms":4}]`
		}, anomaly: true, component: "Deployment/geo", mechanism: "buggy-release", repair: "rollout undo deployment/geo"},
		{name: "slow release", breaks: func(w *world) {
			w.alerts, w.deployments = slowGeo, strings.Replace(w.deployments, "geo 1 1 1", "geo 1 1 2", 1)
			w.graph = `[{"caller":"search","callee":"geo","calls":58,"errors":1,"p50Ms":905,"calleeP50Ms":904}]`
		}, anomaly: true, component: "Deployment/geo", mechanism: "slow-release", repair: "rollout undo deployment/geo"},
		{name: "image that cannot be pulled", breaks: func(w *world) {
			w.pods = strings.Replace(w.pods, "geo-1 geo node-2 Running <none>", "geo-1 geo node-2 Pending ImagePullBackOff", 1)
			w.deployments = strings.Replace(w.deployments, "geo 1 1 1", "geo 1 0 2", 1)
		}, anomaly: true, component: "Deployment/geo", mechanism: "wrong-image", repair: "rollout undo deployment/geo"},
		{name: "slow node", breaks: func(w *world) {
			w.alerts = slowSite
			w.graph = `[{"caller":"frontend","callee":"search","calls":50,"p50Ms":409,"calleeP50Ms":408},
				{"caller":"search","callee":"geo","calls":50,"p50Ms":405,"calleeP50Ms":104},{"caller":"geo","callee":"mysql-geo","calls":50,"p50Ms":301}]`
		}, anomaly: true, component: "Node/node-2", mechanism: "network-delay", repair: "cordon node-2"},
		{name: "store cut off", breaks: func(w *world) {
			w.alerts = geoErrors
			w.graph = `[{"caller":"geo","callee":"mysql-geo","calls":50,"errors":49,"p50Ms":800}]`
		}, anomaly: true, component: "Deployment/mysql-geo", mechanism: "network-partition"},
		{name: "an alert that no rule explains", breaks: func(w *world) { w.alerts = slowSite }, anomaly: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := healthy()
			tc.breaks(&w)
			cloud := &agentstest.Cloud{Answer: w.answer}
			brief := agentstest.Brief()
			brief.Mechanisms = vocabulary
			require.NoError(t, playbook.Agent{}.Solve(t.Context(), brief, cloud))
			require.Equal(t, map[string]any{"anomaly": tc.anomaly}, cloud.Accepted("detection"))
			if tc.component == "" {
				require.Nil(t, cloud.Accepted("diagnosis"))
				require.Nil(t, cloud.Accepted("mitigation"))
				return
			}
			diagnosis, err := json.Marshal(cloud.Accepted("diagnosis"))
			require.NoError(t, err)
			var d agents.Diagnosis
			require.NoError(t, json.Unmarshal(diagnosis, &d))
			require.Equal(t, tc.component, d.Component.Kind+"/"+d.Component.Name)
			require.Equal(t, tc.mechanism, d.Mechanism)
			var commands []string
			for _, c := range cloud.Calls() {
				if command, ok := c.Args["command"].(string); ok && !strings.HasPrefix(command, "get ") {
					commands = append(commands, command)
				}
			}
			if tc.repair == "" {
				require.Empty(t, commands)
				require.Nil(t, cloud.Accepted("mitigation"))
				return
			}
			require.Contains(t, commands, tc.repair)
			require.NotNil(t, cloud.Accepted("mitigation"))
		})
	}
}
