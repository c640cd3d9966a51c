package existing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// client is a client that goes through the cluster's own access.
func client(t *testing.T, c *Cluster) kubernetes.Interface {
	t.Helper()
	k, err := kubernetes.NewForConfig(c.RESTConfig())
	require.NoError(t, err)
	return k
}

func makeNamespace(t *testing.T, c *Cluster, name string) {
	t.Helper()
	_, err := client(t, c).CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// TestNothingIsLeft plays a run of two trials: what was there before is what is there after.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	s.add(t, namespaceYAML("shop"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs, namespace: shop}\n")
	before := s.paths()
	p, m := newProvider(t, s)
	for trial := range 2 {
		up, err := p.Up(t.Context(), cluster.Spec{Nodes: 2})
		require.NoError(t, err)
		c, ok := up.(*Cluster)
		require.True(t, ok)
		require.Equal(t, "staging", c.Name())
		require.FileExists(t, c.Kubeconfig())
		require.Equal(t, cluster.Tenancy{Registry: "registry.example/exercise", ChaosNamespace: Home, Hidden: []string{"chaos-mesh"}}, c.Tenancy())
		require.NoError(t, c.Err())
		require.Equal(t, 1, m.installs, "Chaos Mesh is kept from trial to trial")
		require.Equal(t, 1, m.verified)
		_, err = p.Up(t.Context(), cluster.Spec{})
		require.ErrorContains(t, err, "in use by another trial of this run")

		makeNamespace(t, c, "hotel")
		k := client(t, c)
		_, err = k.CoreV1().ConfigMaps("hotel").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
		require.NoError(t, err)
		s.add(t, "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: {name: a, namespace: gameday-system}\n",
			"apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: pv-1}\nspec: {claimRef: {namespace: hotel, name: data}}\n",
			"apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: pv-2}\nspec: {claimRef: {namespace: shop, name: data}}\n")
		require.NoError(t, c.Down(t.Context()), "trial %d", trial)
		require.NoError(t, c.Down(t.Context()), "idempotent")
		left := s.paths()
		require.NotContains(t, left, "/api/v1/namespaces/hotel")
		require.NotContains(t, left, "/api/v1/persistentvolumes/pv-1")
		require.NotContains(t, left, "/apis/chaos-mesh.org/v1alpha1/namespaces/gameday-system/networkchaos/a")
		require.Contains(t, left, "/api/v1/namespaces/"+Home)
		require.Contains(t, left, "/api/v1/namespaces/chaos-mesh")
		s.remove("/api/v1/persistentvolumes/pv-2")
	}
	config := p.session.kubeconfig()
	require.NoError(t, p.Close(t.Context()))
	require.NoError(t, p.Close(t.Context()), "idempotent")
	require.Equal(t, before, s.paths())
	require.Empty(t, m.released)
	require.NoFileExists(t, config)
	for _, write := range s.written() {
		require.NotContains(t, write, "shop")
		require.NotContains(t, write, "standard")
	}
}

// TestAForeignChaosMeshIsUsedAndLeft: what somebody else has installed stays.
func TestAForeignChaosMeshIsUsedAndLeft(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	s.add(t, namespaceYAML("chaos"), chaosController("chaos", 1))
	before := s.paths()
	p, m := newProvider(t, s)
	m.released["chaos"] = true
	c, err := p.Up(t.Context(), cluster.Spec{})
	require.NoError(t, err)
	require.Zero(t, m.installs)
	require.Equal(t, 1, m.verified)
	tenant, ok := c.(cluster.Tenant)
	require.True(t, ok)
	require.Equal(t, []string{"chaos"}, tenant.Tenancy().Hidden)
	require.NoError(t, c.Down(t.Context()))
	require.NoError(t, p.Close(t.Context()))
	require.Equal(t, before, s.paths())
	require.True(t, m.released["chaos"])
}

func TestAStartThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	before := s.paths()
	p, m := newProvider(t, s)
	m.broken = errors.New("the canary was not harmed")
	_, err := p.Up(t.Context(), cluster.Spec{})
	require.ErrorContains(t, err, "see that Chaos Mesh works: the canary was not harmed")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Equal(t, before, s.paths())
	require.Empty(t, m.released)

	m.broken = nil
	c := up(t, p)
	require.NoError(t, c.Down(t.Context()), "the next start is not hindered")
}

func TestDownNamesWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	p, _ := newProvider(t, s)
	c := up(t, p)
	makeNamespace(t, c, "hotel")
	s.mu.Lock()
	s.stuck = []string{"hotel"}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	err := c.Down(ctx)
	require.ErrorContains(t, err, "clean up existing cluster staging")
	require.ErrorContains(t, err, "left are namespace hotel")
	require.ErrorContains(t, err, "namespace hotel: some finalizers remain")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "gameday delete cluster --cluster existing --context staging")
	s.mu.Lock()
	s.stuck = nil
	s.mu.Unlock()
	next, err := p.Up(t.Context(), cluster.Spec{})
	require.NoError(t, err, "what was left is removed before the next trial")
	require.NotContains(t, s.paths(), "/api/v1/namespaces/hotel")
	require.NoError(t, c.Down(t.Context()), "the old one has nothing to say any more")
	require.NoError(t, next.Down(t.Context()))
}

func TestOneRunAtATime(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	first, _ := newProvider(t, s)
	c := up(t, first)
	second, _ := newProvider(t, s)
	_, err := second.Up(t.Context(), cluster.Spec{})
	require.ErrorContains(t, err, "claim: in use by ")
	_, err = second.CleanUp(t.Context(), false)
	require.ErrorContains(t, err, "in use by ")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.NoError(t, c.Err())
	require.NoError(t, c.Down(t.Context()))
}

// TestALostClaimIsABreakdown: whoever takes the claim away ends the trial with a named reason.
func TestALostClaimIsABreakdown(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	p, _ := newProvider(t, s)
	fake := clocktesting.NewFakeClock(time.Now())
	p.Clock = fake
	c := up(t, p)
	require.Eventually(t, fake.HasWaiters, 10*time.Second, time.Millisecond)
	fake.Step(renewEvery)
	const at = "/apis/coordination.k8s.io/v1/namespaces/gameday-system/leases/claim"
	require.Eventually(t, func() bool { return slices.Contains(s.written(), "PATCH "+at) }, 10*time.Second, time.Millisecond, "it is renewed")
	require.NoError(t, c.Err())
	s.remove(at)
	fake.Step(renewEvery)
	select {
	case <-c.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the loss does not show")
	}
	require.ErrorContains(t, c.Err(), "the claim on the cluster was taken away")
	require.Equal(t, errs.Infra, errs.PartyOf(c.Err()))
	require.NoError(t, c.Down(t.Context()))

	again, err := p.Up(t.Context(), cluster.Spec{})
	require.NoError(t, err, "the next trial claims it again")
	require.NoError(t, again.Err())
	require.NoError(t, again.Down(t.Context()))
}

// TestALostClaimLeavesTheNextRunAlone: a run that was thought dead takes away what is its own, and not the faults of the run that has the cluster now.
func TestALostClaimLeavesTheNextRunAlone(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	p, m := newProvider(t, s)
	p.AllowCordon = true
	var said bytes.Buffer
	p.Log = slog.New(slog.NewTextHandler(&said, nil))
	c := up(t, p)
	makeNamespace(t, c, "hotel")
	code, answer := ask(t, c, true, http.MethodPatch, "/api/v1/nodes/n1", asMerge, `{"spec":{"unschedulable":true}}`)
	require.Equal(t, http.StatusOK, code, answer)

	const owner = "gameday.dev/owner: run-2"
	const leaseAt, fault = "/apis/coordination.k8s.io/v1/namespaces/gameday-system/leases/claim", "/apis/chaos-mesh.org/v1alpha1/namespaces/gameday-system/networkchaos/theirs"
	s.add(t, namespaceYAML(Home, owner, "gameday.dev/scope: run"),
		"apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: claim, namespace: gameday-system, annotations: {gameday.dev/holder: ada, gameday.dev/cordoned: n2}}\nspec: {holderIdentity: run-2}\n",
		namespaceYAML("chaos-mesh", owner, "gameday.dev/scope: run", `gameday.dev/chaos-mesh: "true"`),
		"apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: {name: theirs, namespace: gameday-system}\n")
	require.NoError(t, c.Down(t.Context()))
	require.NoError(t, p.Close(t.Context()))
	left := s.paths()
	require.NotContains(t, left, "/api/v1/namespaces/hotel", "what is ours is removed")
	require.NotContains(t, s.object("/api/v1/nodes/n1").Object["spec"], "unschedulable")
	require.Subset(t, left, []string{fault, leaseAt, "/api/v1/namespaces/" + Home, "/api/v1/namespaces/chaos-mesh"})
	require.Equal(t, "n2", s.object(leaseAt).GetAnnotations()[cordonNote], "the note is the next run's")
	require.True(t, m.released["chaos-mesh"], "so is Chaos Mesh")
	require.Contains(t, said.String(), "another run has taken the cluster")
	require.Contains(t, said.String(), "holder=ada")
}

func TestWhatAKilledRunHasLeftIsRemoved(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	s.add(t, namespaceYAML("shop"))
	before := s.paths()
	s.add(t,
		namespaceYAML(Home, "gameday.dev/owner: run-1", "gameday.dev/scope: run"),
		"apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: claim, namespace: gameday-system, annotations: {gameday.dev/cordoned: \"n2,n9\"}}\nspec: {holderIdentity: run-1, renewTime: \"2026-01-02T03:04:05.000000Z\"}\n",
		namespaceYAML("chaos-mesh", "gameday.dev/owner: run-1", "gameday.dev/scope: run", `gameday.dev/chaos-mesh: "true"`),
		"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: networkchaos.chaos-mesh.org}\nspec: {group: chaos-mesh.org}\n",
		namespaceYAML("hotel", "gameday.dev/owner: run-1", "gameday.dev/scope: trial"),
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: oncall, labels: {gameday.dev/owner: run-1, gameday.dev/scope: trial}}\n",
	)
	s.mu.Lock()
	s.objects["/api/v1/nodes/n2"]["spec"] = map[string]any{"unschedulable": true}
	s.mu.Unlock()
	p, m := newProvider(t, s)
	m.released["chaos-mesh"] = true
	found, err := p.CleanUp(t.Context(), false)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"namespace gameday-system", "namespace chaos-mesh", "namespace hotel", "clusterrole oncall"}, found)
	require.Equal(t, before, s.paths())
	require.Empty(t, m.released)
	node := s.object("/api/v1/nodes/n2")
	require.NotContains(t, node.Object["spec"], "unschedulable")
	found, err = p.CleanUp(t.Context(), false)
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestWhatIsAskedOfTheProvider(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	p, _ := newProvider(t, s)
	require.Equal(t, 1, p.MaxClusters())
	require.Equal(t, []string{faults.HTTPChaos, faults.IOChaos, faults.Netem, faults.TBF}, p.Capabilities())
	_, err := p.Up(t.Context(), cluster.Spec{NodeGroups: []cluster.NodeGroup{{Name: "a"}}})
	require.ErrorContains(t, err, "a cluster file describes nodes")
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.Empty(t, s.written())
	p.AllowCordon = true
	require.Equal(t, []string{faults.HTTPChaos, faults.IOChaos, faults.Netem, faults.TBF, faults.NodeScheduling}, p.Capabilities())
	_, err = p.Up(t.Context(), cluster.Spec{Nodes: 5})
	require.ErrorContains(t, err, "5 nodes are wanted, and context staging has 2 that take pods")
	require.NoError(t, p.Close(t.Context()))
	require.NotContains(t, s.paths(), "/api/v1/namespaces/"+Home)
	_, err = os.Stat(p.Kubeconfig)
	require.NoError(t, err)
}
