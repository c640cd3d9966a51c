package chaosmesh_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/faults/faultstest"
)

var slow = map[string]string{"node": "node-1", "latency": "200ms"}

func TestKeptConformance(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addPod(t, pod("geo", "geo-a", "node-1"))
	r.addPod(t, pod("rate", "rate-a", "node-2"))
	faultstest.Run(t, func() faults.Fault { return faultstest.New(t, "node-slow-network", slow) }, r.env)
	require.Empty(t, r.objects(t), "nothing is left behind")
}

func TestKeptFollowsThePods(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addPod(t, pod("geo", "geo-a", "node-1"))
	r.addPod(t, pod("rate", "rate-a", "node-2"))
	other := pod("mysql-geo", "mysql-geo-a", "node-1")
	other.Labels["app.kubernetes.io/component"] = "store"
	r.addPod(t, other)
	f := faultstest.New(t, "node-slow-network", slow)
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, f.Inject(ctx, r.env))
	cancel() // the phase's deadline does not end the fault
	defer func() { require.NoError(t, f.Recover(context.Background(), r.env)) }()

	covers := func(want ...string) {
		require.Eventually(t, func() bool {
			return slices.Equal(want, slices.Sorted(maps.Keys(r.objects(t))))
		}, 10*time.Second, 10*time.Millisecond, "want %v", want)
	}
	covers("geo-a")
	object := r.objects(t)["geo-a"]
	require.NotContains(t, object.GetName(), "slow")
	require.Equal(t, "chaos-mesh", object.GetNamespace())

	// The pod is deleted and comes back on the same node: nothing is repaired.
	r.deletePod(t, "geo-a")
	r.addPod(t, pod("geo", "geo-b", "node-1"))
	covers("geo-b")
	faultstest.Await(t, f, r.env, true)

	// It is moved, but the node still takes the next one.
	r.deletePod(t, "geo-b")
	r.addPod(t, pod("geo", "geo-c", "node-2"))
	covers()
	state, err := f.Probe(t.Context(), r.env)
	require.NoError(t, err)
	require.True(t, state.Live)
	require.Contains(t, state.Detail, "still takes the next one of geo, rate")

	// Cordoned as well: repaired. And no longer when somebody takes that back.
	r.cordon(t, "node-1", true)
	faultstest.Await(t, f, r.env, false)
	r.cordon(t, "node-1", false)
	faultstest.Await(t, f, r.env, true)
	r.cordon(t, "node-1", true)
	faultstest.Await(t, f, r.env, false)
	require.NoError(t, f.Recover(t.Context(), r.env))
}

// TestKeptIsNotRelabelled: what a pod is called does not change the node's network.
func TestKeptIsNotRelabelled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addPod(t, pod("geo", "geo-a", "node-1"))
	f := faultstest.New(t, "node-slow-network", slow)
	require.NoError(t, f.Inject(t.Context(), r.env))
	r.cordon(t, "node-1", true)
	r.deletePod(t, "geo-a")
	renamed := pod("geo", "geo-a", "node-1")
	renamed.Labels["app.kubernetes.io/component"] = "web"
	r.addPod(t, renamed)
	faultstest.Await(t, f, r.env, true)
	require.NoError(t, f.Recover(t.Context(), r.env))
}

func TestKeptPartitionFollowsTheStore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addPod(t, pod("geo", "geo-a", "node-1"))
	store := pod("mysql-geo", "mysql-geo-a", "node-2")
	r.addPod(t, store)
	f := faultstest.New(t, "node-store-partition", map[string]string{"node": "node-1", "namespace": "hotel", "service": "geo", "store": "mysql-geo"})
	require.NoError(t, f.Inject(t.Context(), r.env))
	before := r.objects(t)["geo-a"].GetName()
	r.deletePod(t, "mysql-geo-a")
	r.addPod(t, pod("mysql-geo", "mysql-geo-b", "node-2"))
	require.Eventually(t, func() bool {
		object := r.objects(t)["geo-a"]
		return object != nil && object.GetName() != before
	}, 10*time.Second, 10*time.Millisecond, "the store's new address is cut off, too")
	require.NoError(t, f.Recover(t.Context(), r.env))
	require.Empty(t, r.objects(t))
}

func TestKeptIsRecoveredByAnotherProcess(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addPod(t, pod("geo", "geo-a", "node-1"))
	first := faultstest.New(t, "node-slow-network", slow)
	require.NoError(t, first.Inject(t.Context(), r.env))
	second := faultstest.New(t, "node-slow-network", slow)
	state, err := second.Probe(t.Context(), r.env)
	require.NoError(t, err)
	require.True(t, state.Live, "what is injected is injected, whoever asks")
	require.NoError(t, first.Recover(t.Context(), r.env))
	require.NoError(t, second.Recover(t.Context(), r.env))
}

const plain = `apiVersion: gameday.dev/v1
kind: Fault
id: plain
title: t
description: d
type: chaosmesh
spec:
  kind: NetworkChaos
  spec:
    action: delay
    mode: all
    selector: {namespaces: [hotel], labelSelectors: {app.kubernetes.io/name: geo}}
    delay: {latency: 10ms}
`

func load(text string) (*faults.Catalog, error) {
	return faults.LoadCatalog(faults.Source{FS: fstest.MapFS{"plain/fault.yaml": {Data: []byte(text)}}, Prefix: "pack"})
}

// TestRequirements: what Chaos Mesh needs programs of its own for, or a packet scheduler of the kernel, is required without the file's saying so.
func TestRequirements(t *testing.T) {
	t.Parallel()
	dns := strings.NewReplacer("NetworkChaos", "DNSChaos", "action: delay", "action: error", "    delay: {latency: 10ms}\n", "")
	action := func(name, parameters string) string {
		return strings.NewReplacer("action: delay", "action: "+name, "delay: {latency: 10ms}", parameters).Replace(plain)
	}
	for text, want := range map[string][]string{
		plain:                                {faults.Netem},
		action("loss", "loss: {loss: '10'}"): {faults.Netem},
		action("corrupt", "corrupt: {corrupt: '10'}"):                                   {faults.Netem},
		action("duplicate", "duplicate: {duplicate: '10'}"):                             {faults.Netem},
		action("netem", "rate: {rate: 1mbps}"):                                          {faults.Netem},
		action("bandwidth", "bandwidth: {rate: 1mbps, limit: 20971520, buffer: 10000}"): {faults.TBF},
		action("partition", "direction: both"):                                          nil,
		dns.Replace(plain):                                                              {faults.DNSChaos},
		strings.Replace(dns.Replace(plain), "type: chaosmesh", "type: chaosmesh\nrequires: [node-failure, dns-chaos]", 1): {faults.NodeFailure, faults.DNSChaos},
	} {
		c, err := load(text)
		require.NoError(t, err)
		entry, err := c.Get("plain")
		require.NoError(t, err)
		require.Equal(t, want, entry.Requires, text)
	}
}

func TestAppliedConformance(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addPod(t, pod("geo", "geo-a", "node-1"))
	catalog, err := load(plain)
	require.NoError(t, err)
	entry, err := catalog.Get("plain")
	require.NoError(t, err)
	newFault := func() faults.Fault {
		f, err := entry.New(nil)
		require.NoError(t, err)
		return f
	}
	faultstest.Run(t, newFault, r.env)

	f := newFault()
	require.NoError(t, f.Inject(t.Context(), r.env))
	list, err := r.dyn.Resource(networkChaos).Namespace("chaos-mesh").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	require.NotContains(t, list.Items[0].GetName(), "plain")
	r.deletePod(t, "geo-a")
	faultstest.Await(t, f, r.env, false) // selected once: its pod is gone
	require.NoError(t, f.Recover(t.Context(), r.env))
}

func TestBadSpecs(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, old, new, want string }{
		{"kind", "kind: NetworkChaos", "kind: NetChaos", `spec.kind: unknown kind "NetChaos"`},
		{"field", "latency: 10ms", "latencies: 10ms", `it is no spec of a NetworkChaos: json: unknown field "latencies"`},
		{"expiring", "    mode: all", "    mode: all\n    duration: 10s", "spec.spec.duration: a fault lasts until it is recovered"},
		{"two selectors", "  spec:\n", "  keepApplied: {node: node-1}\n  spec:\n", "keepApplied selects the pods: remove it"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(strings.Replace(plain, tc.old, tc.new, 1))
			require.ErrorContains(t, err, tc.want)
		})
	}
}
