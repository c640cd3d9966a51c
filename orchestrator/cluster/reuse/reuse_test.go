package reuse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/inventory"
)

var (
	namespaces   = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	configMaps   = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	clusterRoles = schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"}
	pods         = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	nodes        = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
)

// lists is what a cluster says that it has.
type lists struct{}

func (lists) ServerPreferredResources() ([]*metav1.APIResourceList, error) {
	verbs := metav1.Verbs{"list", "get", "delete"}
	return []*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "namespaces", Kind: "Namespace", Verbs: verbs}, {Name: "configmaps", Kind: "ConfigMap", Namespaced: true, Verbs: verbs},
			{Name: "pods", Kind: "Pod", Namespaced: true, Verbs: verbs}, {Name: "bindings", Kind: "Binding", Verbs: metav1.Verbs{"create"}},
			{Name: "nodes", Kind: "Node", Verbs: verbs},
		}},
		{GroupVersion: "rbac.authorization.k8s.io/v1", APIResources: []metav1.APIResource{{Name: "clusterroles", Kind: "ClusterRole", Verbs: verbs}}},
	}, nil
}

func object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion(apiVersion)
	u.SetKind(kind)
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}

// hut is a cluster in memory.
type hut struct {
	name   string
	client *fake.FakeDynamicClient
	downs  atomic.Int32
	done   chan struct{}
	err    error
}

func (h *hut) Name() string               { return h.name }
func (*hut) RESTConfig() *rest.Config     { return &rest.Config{} }
func (*hut) Kubeconfig() string           { return "" }
func (h *hut) Done() <-chan struct{}      { return h.done }
func (h *hut) Err() error                 { return h.err }
func (h *hut) Down(context.Context) error { h.downs.Add(1); return nil }

// castle is one with everything that kind's clusters can do.
type castle struct {
	*hut
	crashed string
}

func (c *castle) CrashNode(_ context.Context, node string) error { c.crashed = node; return nil }
func (*castle) HangNode(context.Context, string) error           { return nil }
func (*castle) RestartNode(context.Context, string) error        { return nil }
func (*castle) StopKubelet(context.Context, string) error        { return nil }
func (*castle) StartKubelet(context.Context, string) error       { return nil }
func (*castle) LoadImages(context.Context, string) error         { return nil }
func (*castle) CollectLogs(_ context.Context, _ string) error    { return nil }
func newHut(name string) *hut {
	return &hut{name: name, client: newClient(), done: make(chan struct{})}
}
func (b *builder) Capabilities() []string                         { return []string{"node-failure"} }
func (b *builder) last() *hut                                     { return b.made[len(b.made)-1] }
func (b *builder) dynamic() (dynamic.Interface, inventory.Lister) { return b.last().client, lists{} }

// newClient is a cluster that holds a namespace with a ConfigMap. Namespaces take what is in them with them.
func newClient() *fake.FakeDynamicClient {
	client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		namespaces: "NamespaceList", configMaps: "ConfigMapList", clusterRoles: "ClusterRoleList", pods: "PodList", nodes: "NodeList",
	}, object("v1", "Namespace", "", "kube-system"), object("v1", "ConfigMap", "kube-system", "coredns"))
	client.PrependReactor("delete", "namespaces", func(action clienttesting.Action) (bool, runtime.Object, error) {
		name := action.(clienttesting.DeleteAction).GetName()
		return false, nil, client.Tracker().Delete(configMaps, name, "app")
	})
	// The tracker of a fake client knows no collections.
	client.PrependReactor("delete-collection", "pods", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, nil })
	return client
}

// builder is the base: it makes huts, or castles.
type builder struct {
	made    []*hut
	castles bool
	// node gives each cluster a node.
	node bool
}

func (b *builder) Up(context.Context, cluster.Spec) (cluster.Cluster, error) {
	h := newHut(fmt.Sprintf("c%d", len(b.made)+1))
	b.made = append(b.made, h)
	if b.node {
		node := object("v1", "Node", "", "node-1")
		node.Object["spec"] = map[string]any{"podCIDR": "10.244.1.0/24"}
		if err := h.client.Tracker().Create(nodes, node, ""); err != nil {
			return nil, err
		}
	}
	if b.castles {
		return &castle{hut: h}, nil
	}
	return h, nil
}

func newProvider(b *builder) *Provider {
	return &Provider{Base: b, connect: func(*rest.Config) (dynamic.Interface, inventory.Lister, error) {
		client, lister := b.dynamic()
		return client, lister, nil
	}}
}

func create(t *testing.T, h *hut, gvr schema.GroupVersionResource, u *unstructured.Unstructured) {
	t.Helper()
	_, err := h.client.Resource(gvr).Namespace(u.GetNamespace()).Create(t.Context(), u, metav1.CreateOptions{})
	require.NoError(t, err)
}

func TestClusterIsUsedAgainWhenItIsClean(t *testing.T) {
	t.Parallel()
	b := &builder{}
	p := newProvider(b)
	require.Equal(t, []string{"node-failure"}, p.Capabilities())
	require.Empty(t, p.WhyNot("node-clock"), "the base does not say")
	first, err := p.Up(t.Context(), cluster.Spec{Nodes: 2})
	require.NoError(t, err)
	create(t, b.last(), namespaces, object("v1", "Namespace", "", "hotel"))
	create(t, b.last(), configMaps, object("v1", "ConfigMap", "hotel", "app"))
	create(t, b.last(), clusterRoles, object("rbac.authorization.k8s.io/v1", "ClusterRole", "", "monitoring"))
	create(t, b.last(), pods, object("v1", "Pod", "kube-system", "coredns-2"))
	require.NoError(t, first.Down(t.Context()))
	require.NoError(t, first.Down(t.Context()), "it is idempotent")
	require.True(t, slices.ContainsFunc(b.last().client.Actions(), func(a clienttesting.Action) bool {
		return a.Matches("delete-collection", "pods") && a.GetNamespace() == "hotel"
	}), "pods do not get their whole grace period")
	require.Zero(t, b.last().downs.Load())
	left, err := b.last().client.Resource(namespaces).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, left.Items, 1)

	second, err := p.Up(t.Context(), cluster.Spec{Nodes: 2})
	require.NoError(t, err)
	require.Equal(t, first.Name(), second.Name())
	third, err := p.Up(t.Context(), cluster.Spec{Nodes: 2})
	require.NoError(t, err)
	require.NotEqual(t, first.Name(), third.Name(), "two at a time")
	_, able := third.(cluster.NodeController)
	require.False(t, able, "a lease does not claim what its cluster cannot")

	require.NoError(t, p.Close(t.Context()))
	require.NoError(t, p.Close(t.Context()))
	for _, h := range b.made {
		require.EqualValues(t, 1, h.downs.Load())
	}
}

func TestOtherSpecsAndNamesHaveTheirOwn(t *testing.T) {
	t.Parallel()
	b := &builder{}
	p := newProvider(b)
	for _, spec := range []cluster.Spec{{Nodes: 2}, {Nodes: 3}, {Nodes: 2, Fidelity: "production"}, {Name: "demo", Nodes: 2}} {
		c, err := p.Up(t.Context(), spec)
		require.NoError(t, err)
		require.NoError(t, c.Down(t.Context()))
	}
	require.Len(t, b.made, 4)
	require.EqualValues(t, 1, b.last().downs.Load(), "what has a name is not kept")
}

// play lets a fake clock run while f does.
func play(clock *clocktesting.FakeClock, f func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
			clock.Step(cleanCheck)
		}
	}
}

func TestClusterThatIsNotWhatItWasIsThrownAway(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, h *hut){
		"changed": func(t *testing.T, h *hut) {
			t.Helper()
			u := object("v1", "ConfigMap", "kube-system", "coredns")
			u.Object["data"] = map[string]any{"Corefile": "broken"}
			_, err := h.client.Resource(configMaps).Namespace("kube-system").Update(t.Context(), u, metav1.UpdateOptions{})
			require.NoError(t, err)
		},
		"deleted": func(t *testing.T, h *hut) {
			t.Helper()
			require.NoError(t, h.client.Resource(configMaps).Namespace("kube-system").Delete(t.Context(), "coredns", metav1.DeleteOptions{}))
		},
		"stuck": func(t *testing.T, h *hut) {
			t.Helper()
			create(t, h, clusterRoles, object("rbac.authorization.k8s.io/v1", "ClusterRole", "", "stuck"))
			h.client.PrependReactor("delete", "clusterroles", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, nil })
		},
		"broken": func(t *testing.T, h *hut) { t.Helper(); h.err = errors.New("node-1 was lost") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &builder{}
			p := newProvider(b)
			clock := clocktesting.NewFakeClock(time.Unix(0, 0))
			p.Clock = clock
			c, err := p.Up(t.Context(), cluster.Spec{})
			require.NoError(t, err)
			spoil(t, b.last())
			play(clock, func() { err = c.Down(t.Context()) })
			require.NoError(t, err)
			require.EqualValues(t, 1, b.made[0].downs.Load())
			next, err := p.Up(t.Context(), cluster.Spec{})
			require.NoError(t, err)
			require.Equal(t, "c2", next.Name())
		})
	}
}

// TestCordonedNodesTakePodsAgain: that is no reason to throw a cluster away.
func TestCordonedNodesTakePodsAgain(t *testing.T) {
	t.Parallel()
	b := &builder{node: true}
	p := newProvider(b)
	c, err := p.Up(t.Context(), cluster.Spec{})
	require.NoError(t, err)
	all := b.last().client.Resource(nodes)
	live, err := all.Get(t.Context(), "node-1", metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, unstructured.SetNestedField(live.Object, true, "spec", "unschedulable"))
	_, err = all.Update(t.Context(), live, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.NoError(t, c.Down(t.Context()))
	require.Zero(t, b.last().downs.Load())
	live, err = all.Get(t.Context(), "node-1", metav1.GetOptions{})
	require.NoError(t, err)
	_, cordoned, err := unstructured.NestedBool(live.Object, "spec", "unschedulable")
	require.NoError(t, err)
	require.False(t, cordoned)
}

func TestClusterWhoseNodeFailedIsThrownAway(t *testing.T) {
	t.Parallel()
	b := &builder{castles: true}
	p := newProvider(b)
	c, err := p.Up(t.Context(), cluster.Spec{})
	require.NoError(t, err)
	_, able := c.(cluster.ImageLoader)
	require.True(t, able)
	require.NoError(t, c.(cluster.NodeController).CrashNode(t.Context(), "node-1"))
	require.NoError(t, c.Down(t.Context()))
	require.EqualValues(t, 1, b.last().downs.Load())
}

func TestClusterThatBreaksBetweenTrialsIsReplaced(t *testing.T) {
	t.Parallel()
	b := &builder{}
	p := newProvider(b)
	c, err := p.Up(t.Context(), cluster.Spec{})
	require.NoError(t, err)
	require.NoError(t, c.Down(t.Context()))
	b.made[0].err = errors.New("node-1 was lost")
	next, err := p.Up(t.Context(), cluster.Spec{})
	require.NoError(t, err)
	require.Equal(t, "c2", next.Name())
	require.EqualValues(t, 1, b.made[0].downs.Load())
}
