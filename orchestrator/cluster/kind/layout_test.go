package kind

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

func TestLayout(t *testing.T) {
	t.Parallel()
	l, err := (&Provider{NodeImage: "mine:1"}).layout(cluster.Spec{Nodes: 4}, "gameday-x-demo", false)
	require.NoError(t, err)
	require.Equal(t, []node{
		{controlPlane, "gameday-x-demo-control-plane", false}, {"node-1", "gameday-x-demo-worker", true}, {"node-2", "gameday-x-demo-worker2", true},
		{"node-3", "gameday-x-demo-worker3", true}, {"node-4", "gameday-x-demo-worker4", true},
	}, l.nodes)
	require.Equal(t, []string{"mine:1"}, l.images())
	require.Equal(t, "gameday-x-demo", l.config.Name)
	require.Equal(t, v1alpha4.ControlPlaneRole, l.config.Nodes[0].Role)
	require.Equal(t, map[string]string{"topology.kubernetes.io/zone": "zone-a"}, l.config.Nodes[4].Labels, "zones in turn")
	require.Equal(t, []string{namePatch, soloPatch, hastyControl, hastyKubelet}, l.config.KubeadmConfigPatches)

	l, err = (&Provider{}).layout(cluster.Spec{Fidelity: "production"}, "x", true)
	require.NoError(t, err)
	require.Len(t, l.nodes, 1+defaultWorkers)
	require.Equal(t, []string{DefaultNodeImage}, l.images())
	require.Equal(t, []string{namePatch, soloPatch, cgroupPatch}, l.config.KubeadmConfigPatches)
}

// registrations reads the patches of a node.
func registrations(t *testing.T, patch string) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	decoder := yaml.NewDecoder(strings.NewReader(patch))
	for range 2 {
		var document struct {
			Kind             string         `yaml:"kind"`
			NodeRegistration map[string]any `yaml:"nodeRegistration"`
		}
		require.NoError(t, decoder.Decode(&document))
		out[document.Kind] = document.NodeRegistration
	}
	return out
}

func TestNodesOfAClusterFile(t *testing.T) {
	t.Parallel()
	groups := []cluster.NodeGroup{
		{Count: 2},
		{
			Name: "big", MaxPods: 20, PodPIDs: 500, Labels: map[string]string{"topology.kubernetes.io/zone": "z", "example.com/disk": "ssd"},
			Taints:   []cluster.Taint{{Key: "dedicated", Value: "big", Effect: "NoSchedule"}},
			Eviction: &cluster.Eviction{Hard: map[string]string{"pid.available": "10%", "memory.available": "100Mi"}},
		},
	}
	l, err := (&Provider{}).layout(cluster.Spec{NodeGroups: groups}, "x", false)
	require.NoError(t, err)
	var found []string
	for _, n := range l.nodes {
		found = append(found, n.name)
	}
	require.Equal(t, []string{controlPlane, "node-1", "node-2", "big"}, found)
	require.Equal(t, map[string]string{"topology.kubernetes.io/zone": "z", "example.com/disk": "ssd"}, l.config.Nodes[3].Labels)

	got := registrations(t, l.config.Nodes[3].KubeadmConfigPatches[0])
	for _, kind := range []string{"InitConfiguration", "JoinConfiguration"} {
		require.Equal(t, map[string]any{
			"name": "big", "taints": []any{map[string]any{"key": "dedicated", "value": "big", "effect": "NoSchedule"}},
			"kubeletExtraArgs": map[string]any{
				"provider-id": nil, "max-pods": "20", "pod-max-pids": "500", "eviction-hard": "memory.available<100Mi,pid.available<10%",
			},
		}, got[kind])
	}
	plane := registrations(t, l.config.Nodes[0].KubeadmConfigPatches[0])["InitConfiguration"]
	require.Equal(t, map[string]any{"name": controlPlane, "kubeletExtraArgs": map[string]any{"provider-id": nil}}, plane)
}

const kindHead = "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"

func TestKindConfig(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "kind.yaml")
	require.NoError(t, os.WriteFile(file, []byte(kindHead+`networking: {podSubnet: 10.9.0.0/16, apiServerAddress: 127.0.0.1, apiServerPort: -1, kubeProxyMode: nftables}
kubeadmConfigPatches: ["kind: KubeletConfiguration\nmaxPods: 7\n"]
kubeadmConfigPatchesJSON6902: [{group: kubeadm.k8s.io, version: v1beta4, kind: ClusterConfiguration, patch: "- {op: add, path: /a, value: 1}"}]
nodes:
  - role: worker
    extraPortMappings: [{containerPort: 80}, {containerPort: 53, hostPort: 8080, protocol: udp}]
  - role: control-plane
    image: other:2
    extraPortMappings: [{containerPort: 80, hostPort: 8080}]
  - role: worker
    labels: {a: b}
    kubeadmConfigPatches: ["kind: JoinConfiguration\n"]
`), 0o600))
	p := &Provider{Config: file}
	l, err := p.layout(cluster.Spec{}, "x", false)
	require.NoError(t, err)
	require.Equal(t, []node{{"node-1", "x-worker", true}, {controlPlane, "x-control-plane", false}, {"node-2", "x-worker2", true}}, l.nodes)
	require.Equal(t, []string{DefaultNodeImage, "other:2"}, l.images())
	require.Equal(t, "10.9.0.0/16", l.config.Networking.PodSubnet)
	require.Equal(t, []string{namePatch, soloPatch, hastyControl, hastyKubelet, "kind: KubeletConfiguration\nmaxPods: 7\n"}, l.config.KubeadmConfigPatches, "the user's wins")
	require.Len(t, l.config.Nodes[2].KubeadmConfigPatches, 2)
	require.Equal(t, "kind: JoinConfiguration\n", l.config.Nodes[2].KubeadmConfigPatches[1])
	require.NoError(t, p.Validate(cluster.Spec{}))

	err = p.Validate(cluster.Spec{Nodes: 2})
	require.ErrorContains(t, err, "says which nodes there are, and so does the request")
	require.Equal(t, errs.Usage, errs.PartyOf(err))
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config string
		want   cluster.Spec
		err    string
	}{
		"unknown field":  {kindHead + "nodez: []\n", cluster.Spec{}, "field nodez not found"},
		"another kind":   {"kind: Pod\napiVersion: v1\n", cluster.Spec{}, `it is of kind "Pod" and apiVersion "v1"`},
		"nothing":        {"", cluster.Spec{}, `it is of kind ""`},
		"two planes":     {kindHead + "nodes: [{}, {}]\n", cluster.Spec{}, "2 nodes have the role control-plane, want one"},
		"no plane":       {kindHead + "nodes: [{role: worker}]\n", cluster.Spec{}, "0 nodes have the role control-plane"},
		"role":           {kindHead + "nodes: [{role: etcd}]\n", cluster.Spec{}, `nodes[0].role is "etcd"`},
		"IPv6":           {kindHead + "networking: {ipFamily: dual}\n", cluster.Spec{}, "networking.ipFamily is dual"},
		"no pod network": {kindHead + "networking: {disableDefaultCNI: true}\n", cluster.Spec{}, "networking.disableDefaultCNI is true"},
		"no proxy":       {kindHead + "networking: {kubeProxyMode: none}\n", cluster.Spec{}, `networking.kubeProxyMode is "none", want iptables`},
		"subnet":         {kindHead + "networking: {podSubnet: 10.9.0.0}\n", cluster.Spec{}, "networking.podSubnet: "},
		"two subnets":    {kindHead + "networking: {serviceSubnet: \"10.9.0.0/16,fd00::/64\"}\n", cluster.Spec{}, "networking.serviceSubnet: "},
		"IPv6 subnet":    {kindHead + "networking: {serviceSubnet: \"fd00::/64\"}\n", cluster.Spec{}, "networking.serviceSubnet is fd00::/64"},
		"address":        {kindHead + "networking: {apiServerAddress: localhost}\n", cluster.Spec{}, "networking.apiServerAddress: "},
		"API port":       {kindHead + "networking: {apiServerPort: 65536}\n", cluster.Spec{}, "networking.apiServerPort is 65536, want a port from -1 to 65535"},
		"host port":      {kindHead + "nodes: [{extraPortMappings: [{containerPort: 80, hostPort: -2}]}]\n", cluster.Spec{}, "nodes[0].extraPortMappings[0].hostPort is -2"},
		"container port": {kindHead + "nodes: [{}, {role: worker, extraPortMappings: [{hostPort: 80}]}]\n", cluster.Spec{}, "nodes[1].extraPortMappings[0].containerPort is 0"},
		"listen address": {
			kindHead + "nodes: [{extraPortMappings: [{containerPort: 80, listenAddress: here}]}]\n", cluster.Spec{}, "nodes[0].extraPortMappings[0].listenAddress: ",
		},
		"port taken": {
			kindHead + "nodes: [{extraPortMappings: [{containerPort: 80, hostPort: 80}]}, {role: worker, extraPortMappings: [{containerPort: 81, hostPort: 80, listenAddress: 127.0.0.1}]}]\n",
			cluster.Spec{}, "nodes[1].extraPortMappings[0].hostPort: port 80/TCP of the machine is given twice",
		},
		"patch":            {kindHead + "kubeadmConfigPatches: [\"kind: [\"]\n", cluster.Spec{}, "kubeadmConfigPatches[0]: "},
		"second patch":     {kindHead + "nodes: [{kubeadmConfigPatches: [\"kind: A\\n---\\nmaxPods 7\\n\"]}]\n", cluster.Spec{}, "nodes[0].kubeadmConfigPatches[0]: "},
		"JSON patch":       {kindHead + "kubeadmConfigPatchesJSON6902: [{kind: A, patch: \"{}\"}]\n", cluster.Spec{}, "kubeadmConfigPatchesJSON6902[0]: "},
		"JSON operation":   {kindHead + "kubeadmConfigPatchesJSON6902: [{kind: A, patch: \"[{op: put, path: /a}]\"}]\n", cluster.Spec{}, `operation 1: op is "put", want add`},
		"JSON path":        {kindHead + "nodes: [{kubeadmConfigPatchesJSON6902: [{kind: A, patch: \"[{op: remove}]\"}]}]\n", cluster.Spec{}, "nodes[0].kubeadmConfigPatchesJSON6902[0]: operation 1: "},
		"fidelity":         {kindHead, cluster.Spec{Fidelity: "slow"}, `unknown fidelity "slow"`},
		"nodes":            {"-", cluster.Spec{Nodes: -1}, "-1 nodes"},
		"sizes":            {"-", cluster.Spec{NodeGroups: []cluster.NodeGroup{{}, {Memory: "1Gi"}}}, "group 2 of the cluster file asks for memory"},
		"many in groups":   {"-", cluster.Spec{NodeGroups: []cluster.NodeGroup{{Count: 40}, {Count: 40}}}, "groups of 80 nodes"},
		"nothing of group": {"-", cluster.Spec{NodeGroups: []cluster.NodeGroup{{Count: 1000}}}, "groups of 0 nodes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &Provider{}
			if tc.config != "-" {
				p.Config = filepath.Join(t.TempDir(), "kind.yaml")
				require.NoError(t, os.WriteFile(p.Config, []byte(tc.config), 0o600))
			}
			err := p.Validate(tc.want)
			require.ErrorContains(t, err, tc.err)
			require.Equal(t, errs.Usage, errs.PartyOf(err))
			require.NotContains(t, err.Error(), "\n")
		})
	}
	err := (&Provider{Config: "/no/such/file"}).Validate(cluster.Spec{})
	require.ErrorContains(t, err, "no such file")
}
