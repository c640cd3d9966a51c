package playbook_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/agents/playbook"
	"github.com/gameday-bench/gameday/problems"
)

const (
	geoErrors = `[{"name":"HighErrorRate","labels":{"namespace":"hotel","service":"frontend"}},{"name":"HighErrorRate","labels":{"namespace":"hotel","service":"geo"}}]`
	slowGeo   = `[{"name":"HighRequestLatency","labels":{"namespace":"hotel","service":"geo"}}]`
	// otherImage are the ReplicaSets of geo after a release.
	otherImage = "geo 2 geo:2 1 160Mi\ngeo 1 geo:1 1 160Mi\nsearch 1 search:1 1 160Mi\n"
	image      = "spec.template.spec.containers[0].image"

	slowSite = `[{"name":"HighRequestLatency","labels":{"namespace":"hotel","service":"search"}}]`
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

// scene is one case: how the healthy world is broken, and what the playbook makes of it.
type scene struct {
	name      string
	breaks    func(w *world)
	anomaly   bool
	component string // kind/name of the diagnosis
	mechanism string
	field     string
	repair    string // a command that must be among the repair; empty: nothing is repaired
}

func TestRulesOverStateAlertsLogsAndTraces(t *testing.T) {
	t.Parallel()
	play(t, []scene{
		{name: "healthy", breaks: func(*world) {}},
		{name: "another namespace's alert", breaks: func(w *world) { w.alerts = `[{"name":"X","labels":{"namespace":"other"}}]` }},
		{name: "node not ready", breaks: func(w *world) { w.nodes = "node-1 <none> True\nnode-2 <none> Unknown\n" }, anomaly: true, component: "Node/node-2", mechanism: "node-failure", repair: "cordon node-2"},
		{name: "scaled to zero", breaks: func(w *world) {
			w.deployments = strings.Replace(w.deployments, "geo 1 1", "geo 0 <none>", 1)
			w.events = "Scaled down replica set geo-7c9 from 3 to 0"
		}, anomaly: true, component: "Deployment/geo", mechanism: "scaled-to-zero", field: "spec.replicas", repair: "scale deployment/geo --replicas=3"},
		{name: "wrong target port", breaks: func(w *world) { w.services = strings.Replace(w.services, "geo geo grpc", "geo geo 18083", 1) }, anomaly: true, component: "Service/geo", mechanism: "wrong-port", field: "spec.ports[0].targetPort", repair: `patch service geo --type=json -p '[{"op":"replace","path":"/spec/ports/0/targetPort","value":"grpc"}]'`},
		{name: "grant revoked", breaks: func(w *world) {
			w.alerts, w.logs = geoErrors, `error="Error 1142 (42000): SELECT command denied to user 'geo'@'%' for table 'points'"`
		}, anomaly: true, component: "Deployment/mysql-geo", mechanism: "permission-revoked"},
		{name: "buggy release", breaks: func(w *world) {
			w.alerts, w.deployments = geoErrors, strings.Replace(w.deployments, "geo 1 1 1", "geo 1 1 2", 1)
			w.sets = otherImage
		}, anomaly: true, component: "Deployment/geo", mechanism: "buggy-release", field: image, repair: "rollout undo deployment/geo"},
		{name: "buggy release whose only alert is about time", breaks: func(w *world) {
			w.alerts, w.deployments = slowGeo, strings.Replace(w.deployments, "geo 1 1 1", "geo 1 <none> 2", 1)
			w.sets = otherImage
		}, anomaly: true, component: "Deployment/geo", mechanism: "buggy-release", field: image, repair: "rollout undo deployment/geo"},
		{name: "buggy release that callers see", breaks: func(w *world) {
			w.alerts, w.deployments = slowGeo, strings.Replace(w.deployments, "geo 1 1 1", "geo 1 1 2", 1)
			w.sets = otherImage
			w.graph = `[{"caller":"search","callee":"geo","calls":58,"errors":4,"p50Ms":5,"calleeP50Ms":4}]`
		}, anomaly: true, component: "Deployment/geo", mechanism: "buggy-release", field: image, repair: "rollout undo deployment/geo"},
		{name: "slow release", breaks: func(w *world) {
			w.alerts, w.deployments = slowGeo, strings.Replace(w.deployments, "geo 1 1 1", "geo 1 1 2", 1)
			w.sets = otherImage
			w.graph = `[{"caller":"search","callee":"geo","calls":58,"errors":1,"p50Ms":905,"calleeP50Ms":904}]`
		}, anomaly: true, component: "Deployment/geo", mechanism: "slow-release", field: image, repair: "rollout undo deployment/geo"},
		{name: "image that cannot be pulled", breaks: func(w *world) {
			w.pods = strings.Replace(w.pods, "geo-1 geo node-2 Running <none>", "geo-1 geo node-2 Pending ImagePullBackOff", 1)
			w.deployments = strings.Replace(w.deployments, "geo 1 1 1", "geo 1 0 2", 1)
			w.sets = otherImage
		}, anomaly: true, component: "Deployment/geo", mechanism: "wrong-image", field: image, repair: "rollout undo deployment/geo"},
		{name: "slow node", breaks: func(w *world) {
			w.alerts = slowSite
			w.graph = `[{"caller":"frontend","callee":"search","calls":50,"p50Ms":409,"calleeP50Ms":408},
				{"caller":"search","callee":"geo","calls":50,"p50Ms":405,"calleeP50Ms":104},{"caller":"geo","callee":"mysql-geo","calls":50,"p50Ms":301}]`
		}, anomaly: true, component: "Node/node-2", mechanism: "network-delay", repair: "cordon node-2"},
		{name: "store cut off", breaks: func(w *world) {
			w.alerts = geoErrors
			w.graph = `[{"caller":"geo","callee":"mysql-geo","calls":50,"errors":49,"p50Ms":800}]`
		}, anomaly: true, component: "Deployment/mysql-geo", mechanism: "network-partition"},
		{name: "crash loop after a rollout", breaks: func(w *world) {
			w.pods = strings.Replace(w.pods, "geo-1 geo node-2 Running <none>", "geo-1 geo node-2 Running CrashLoopBackOff", 1)
			w.deployments, w.sets = strings.Replace(w.deployments, "geo 1 1 1", "geo 1 0 2", 1), otherImage
		}, anomaly: true, component: "Deployment/geo", mechanism: "buggy-release", field: image, repair: "rollout undo deployment/geo"},
		{name: "a rollout that changed something else", breaks: func(w *world) {
			w.alerts, w.deployments = geoErrors, strings.Replace(w.deployments, "geo 1 1 1", "geo 1 1 2", 1)
			w.sets = "geo 1 geo:1 1 160Mi\ngeo 2 geo:1 1 160Mi\n"
		}, anomaly: true, component: "Deployment/geo", mechanism: "buggy-release", repair: "rollout undo deployment/geo"},
		{name: "an alert that informs", breaks: func(w *world) {
			w.alerts = `[{"name":"CPUThrottlingHigh","labels":{"namespace":"hotel","pod":"geo-1","severity":"info"}}]`
		}},
		{name: "an alert that goes away", breaks: func(w *world) { w.alerts, w.heals = slowSite, 10 }},
		{name: "an alert that goes away, after a rollout", breaks: func(w *world) {
			w.alerts, w.heals = slowGeo, 5
			w.deployments, w.sets = strings.Replace(w.deployments, "geo 1 1 1", "geo 1 1 2", 1), otherImage
		}},
		{name: "a pod that waits for a moment, without an alert", breaks: func(w *world) {
			w.pods, w.heals = strings.Replace(w.pods, "geo-1 geo node-2 Running <none>", "geo-1 geo <none> Pending <none>", 1), 5
		}},
		{name: "an alert that no rule explains", breaks: func(w *world) { w.alerts = slowSite }, anomaly: true},
	})
}

func play(t *testing.T, scenes []scene) {
	t.Helper()
	vocabulary := taxonomy(t)
	for _, tc := range scenes {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := healthy(t)
			tc.breaks(w)
			cloud := &agentstest.Cloud{Answer: w.answer}
			brief := agentstest.Brief()
			brief.Mechanisms, brief.Budget.Steps = vocabulary, 60
			cloud.Steps = brief.Budget.Steps
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
			require.Equal(t, tc.field, d.Field)
			requireRepair(t, tc.repair, cloud)
		})
	}
}

// requireRepair wants a command among those that changed something, or no such command and no mitigation.
func requireRepair(t *testing.T, repair string, cloud *agentstest.Cloud) {
	t.Helper()
	var commands []string
	for _, c := range cloud.Calls() {
		if command, ok := c.Args["command"].(string); ok && !strings.HasPrefix(command, "get ") {
			commands = append(commands, command)
		}
	}
	if repair == "" {
		require.Empty(t, commands)
		require.Nil(t, cloud.Accepted("mitigation"))
		return
	}
	require.Contains(t, commands, repair)
	require.NotNil(t, cloud.Accepted("mitigation"))
}
