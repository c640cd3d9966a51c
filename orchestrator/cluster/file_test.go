package cluster_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

const head = "apiVersion: gameday.dev/v1\nkind: Cluster\n"

func TestReadFile(t *testing.T) {
	t.Parallel()
	f, err := cluster.ReadFile("c.yaml", []byte(head+`fidelity: production
nodes:
  - count: 2
  - name: gpu
    count: 2
    cpu: "2"
    memory: 1Gi
    disk: 2Gi
    pids: 500
    maxPods: 20
    mtu: 1450
    uplinkMTU: 1400
    labels: {topology.kubernetes.io/zone: zone-z, example.com/disk: ssd}
    taints: [{key: dedicated, value: gpu, effect: NoSchedule}]
    devices: {nvidia.com/gpu: 4}
    eviction:
      hard: {memory.available: 100Mi, nodefs.available: 10%}
      soft: {pid.available: "100"}
      softGracePeriod: {pid.available: 30s}
  - {}
`))
	require.NoError(t, err)
	require.Equal(t, "production", f.Fidelity)
	require.Equal(t, [][]string{{"node-1", "node-2"}, {"gpu-1", "gpu-2"}, {"node-5"}}, cluster.NodeNames(f.Nodes))
	require.Equal(t, cluster.NodeGroup{
		Name: "gpu", Count: 2, CPU: "2", Memory: "1Gi", Disk: "2Gi", PIDs: 500, MaxPods: 20, MTU: 1450, UplinkMTU: 1400,
		Labels:  map[string]string{"topology.kubernetes.io/zone": "zone-z", "example.com/disk": "ssd"},
		Taints:  []cluster.Taint{{Key: "dedicated", Value: "gpu", Effect: "NoSchedule"}},
		Devices: map[string]int{"nvidia.com/gpu": 4},
		Eviction: &cluster.Eviction{
			Hard: map[string]string{"memory.available": "100Mi", "nodefs.available": "10%"},
			Soft: map[string]string{"pid.available": "100"}, SoftGracePeriod: map[string]string{"pid.available": "30s"},
		},
	}, f.Nodes[1])
}

func TestReadFileRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"nothing":       {"nodes: []\n", "c.yaml:3:1: nodes: required field is empty"},
		"unknown field": {"nodes: [{cpus: 2}]\n", `c.yaml:3:10: nodes[0].cpus: unknown field; did you mean "cpu"?`},
		"quantity":      {"nodes:\n  - cpu: many\n    memory: 1Mi\n", "c.yaml:4:10: nodes[0].cpu: \"many\" is not a quantity like 2, 512Mi or 8Gi\nc.yaml:5:13: nodes[0].memory: must be at least 256Mi, got 1Mi"},
		"count":         {"nodes: [{count: 0}]\n", "c.yaml:3:17: nodes[0].count: must be at least 1, got 0"},
		"mtu":           {"nodes: [{mtu: 100}, {uplinkMTU: 9001}]\n", "c.yaml:3:15: nodes[0].mtu: must be at least 576, got 100\nc.yaml:3:33: nodes[1].uplinkMTU: 9001 bytes; at most 9000"},
		"many":          {"nodes: [{count: 60}, {count: 41}]\n", "c.yaml:3:8: nodes: 101 nodes; at most 100"},
		"same name":     {"nodes: [{}, {name: node-1}]\n", `c.yaml:3:13: nodes[1]: a second node would be called "node-1"`},
		"name":          {"nodes: [{name: A_b}]\n", `nodes[0].name: "A_b" is not a name of a node`},
		"control plane": {"nodes: [{name: control-plane}]\n", `nodes[0].name: "control-plane" is the control plane's`},
		"label":         {"nodes: [{labels: {node-role.kubernetes.io/x: y}}]\n", `a kubelet may not set "node-role.kubernetes.io/x"`},
		"label value":   {"nodes: [{labels: {x: a b}}]\n", "nodes[0].labels.x: not a label"},
		"taint":         {"nodes: [{taints: [{key: a, effect: NoSched}]}]\n", `unknown value "NoSched" (allowed: NoSchedule, PreferNoSchedule, NoExecute); did you mean "NoSchedule"?`},
		"device":        {"nodes: [{devices: {gpu: 1}}]\n", `nodes[0].devices.gpu: "gpu" is not an extended resource`},
		"devices":       {"nodes: [{devices: {a.b/gpu: 65}}]\n", "65 devices; want 1 to 64"},
		"signal":        {"nodes: [{eviction: {hard: {memory.free: 1Gi}}}]\n", `unknown signal "memory.free" (allowed: memory.available,`},
		"threshold":     {"nodes: [{eviction: {hard: {memory.available: 100%}}}]\n", `"100%" must be more than 0, and less than 100%`},
		"no grace":      {"nodes: [{eviction: {soft: {memory.available: 1Gi}}}]\n", "needs a softGracePeriod"},
		"no soft":       {"nodes: [{eviction: {softGracePeriod: {memory.available: soon}}}]\n", "has no soft threshold"},
		"grace":         {"nodes: [{eviction: {softGracePeriod: {memory.available: soon}}}]\n", `"soon" is not a time like 30s`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := cluster.ReadFile("c.yaml", []byte(head+c.text))
			require.ErrorContains(t, err, c.want)
		})
	}
}
