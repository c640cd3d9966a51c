package clustertest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// needChaos skips a test where the cluster has no Chaos Mesh, or the machine lacks something of these.
func (s *suite) needChaos(r *Rig, needs ...string) {
	r.T.Helper()
	_, err := r.Kube.Discovery().ServerResourcesForGroupVersion("chaos-mesh.org/v1alpha1")
	if apierrors.IsNotFound(err) {
		r.T.Skip("the cluster has no Chaos Mesh")
	}
	require.NoError(r.T, err)
	for _, need := range needs {
		if reason, lacks := s.lacks[need]; lacks {
			r.T.Skipf("no %s here: %s", need, reason)
		}
	}
}

// podKill: the pods that a PodChaos kills are replaced.
func (s *suite) podKill(r *Rig) {
	s.needChaos(r)
	killed := map[types.UID]bool{}
	for _, p := range r.ReadyPods("app=web") {
		killed[p.UID] = true
	}
	require.Len(r.T, killed, 2)
	undo := r.Inject(r.Decode(fmt.Sprintf(`
apiVersion: chaos-mesh.org/v1alpha1
kind: PodChaos
metadata: {name: kill}
spec:
  action: pod-kill
  mode: all
  gracePeriod: 0
  selector: {namespaces: [%s], labelSelectors: {app: web}}
`, r.Namespace))[0])
	r.Eventually("new pods have taken their place", func() (bool, string) {
		fresh := 0
		for _, p := range r.ReadyPods("app=web") {
			if !killed[p.UID] {
				fresh++
			}
		}
		return fresh == 2, fmt.Sprintf("%d new pods", fresh)
	})
	undo()
}

// networkChaos is an effect on what passes between the client and the servers.
func networkChaos(name, namespace, effect string) string {
	return fmt.Sprintf(`
apiVersion: chaos-mesh.org/v1alpha1
kind: NetworkChaos
metadata: {name: %[1]s}
spec:
  mode: all
  selector: {namespaces: [%[2]s], labelSelectors: {app: client}}
  target: {mode: all, selector: {namespaces: [%[2]s], labelSelectors: {app: web}}}
%[3]s
`, name, namespace, effect)
}

// partition: nothing passes between two sets of pods while it lasts; others are not touched.
func (s *suite) partition(r *Rig) {
	s.needChaos(r)
	pods := r.ReadyPods("app=web")
	require.NotEmpty(r.T, pods)
	url := fmt.Sprintf("http://%s:8080/hostName", pods[0].Status.PodIP)
	passes := func() (bool, string) {
		out, code := r.Sh("client", "curl -s -m 3 "+url)
		return code == 0, fmt.Sprintf("curl has exit code %d: %s", code, out)
	}
	r.Eventually("the client reaches the server before", passes)
	undo := r.Inject(r.Decode(networkChaos("partition", r.Namespace, "  action: partition\n  direction: both"))[0])
	r.Eventually("the client does not reach the server", func() (bool, string) {
		done, seen := passes()
		return !done, seen
	})
	require.Equal(r.T, pods[0].Name, strings.TrimSpace(r.Fetch("http://"+r.Forward(pods[0].Name, 8080)+"/hostName")), "its node still does")
	undo()
	r.Eventually("the client reaches the server again", passes)
}

// delay: answers are late while it lasts.
func (s *suite) delay(r *Rig) {
	s.needChaos(r, Netem)
	pods := r.ReadyPods("app=web")
	require.NotEmpty(r.T, pods)
	took := func() (float64, string) {
		out, _ := r.Sh("client", fmt.Sprintf(`curl -s -m 5 -w '\n%%{time_total}' http://%s:8080/hostName`, pods[0].Status.PodIP))
		fields := strings.Fields(out)
		if len(fields) == 0 {
			return 0, "curl says nothing"
		}
		seconds, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			return 0, out
		}
		return seconds, out
	}
	const late = 0.3
	quick := func() (bool, string) {
		seconds, seen := took()
		return seconds > 0 && seconds < late, seen
	}
	r.Eventually("an answer is quick before", quick)
	undo := r.Inject(r.Decode(networkChaos("delay", r.Namespace, "  action: delay\n  direction: to\n  delay: {latency: 300ms, jitter: 0ms, correlation: \"0\"}"))[0])
	r.Eventually("an answer is late", func() (bool, string) {
		seconds, seen := took()
		return seconds >= late, seen
	})
	undo()
	r.Eventually("an answer is quick again", quick)
}

// nodeCrash: a node that is lost is missed, and runs pods once it is back. The cluster goes on meanwhile, and calls it no breakdown.
func (s *suite) nodeCrash(t *testing.T) {
	nodes, ok := s.cluster.(cluster.NodeController)
	if !ok {
		t.Skip("no capability NodeController")
	}
	r := s.fixture.Rig(t)
	workers := s.workers(r)
	lost, other := workers[len(workers)-1], workers[0]
	require.Error(t, nodes.CrashNode(t.Context(), "no-such-node"))
	require.NoError(t, nodes.CrashNode(t.Context(), lost))
	s.awaitNode(r, lost, false)
	s.runsOn(r, "elsewhere", other)
	s.whole(t)
	require.NoError(t, nodes.RestartNode(t.Context(), lost))
	s.awaitNode(r, lost, true)
	s.runsOn(r, "back", lost)
	s.whole(t)
}

// nodeHang: a node that hangs is missed, and goes on where it was.
func (s *suite) nodeHang(t *testing.T) {
	nodes, ok := s.cluster.(cluster.NodeController)
	if !ok {
		t.Skip("no capability NodeController")
	}
	r := s.fixture.Rig(t)
	workers := s.workers(r)
	stuck := workers[len(workers)-1]
	require.NoError(t, nodes.HangNode(t.Context(), stuck))
	s.awaitNode(r, stuck, false)
	s.whole(t)
	require.NoError(t, nodes.RestartNode(t.Context(), stuck))
	s.awaitNode(r, stuck, true)
	s.runsOn(r, "again", stuck)
	s.whole(t)
}

// kubeletStop: a node whose kubelet has ended is missed until it is back.
func (s *suite) kubeletStop(t *testing.T) {
	kubelets, ok := s.cluster.(cluster.KubeletController)
	if !ok {
		t.Skip("no capability KubeletController")
	}
	r := s.fixture.Rig(t)
	workers := s.workers(r)
	mute := workers[len(workers)-1]
	require.NoError(t, kubelets.StopKubelet(t.Context(), mute))
	s.awaitNode(r, mute, false)
	s.whole(t)
	require.NoError(t, kubelets.StartKubelet(t.Context(), mute))
	s.awaitNode(r, mute, true)
	s.runsOn(r, "attended", mute)
}

// runsOn runs a pod on one node. It tolerates the taints that a node loses only some time after it is back.
func (s *suite) runsOn(r *Rig, pod, node string) {
	r.T.Helper()
	r.Apply(s.manifest(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 0
  nodeName: %s
  tolerations: [{operator: Exists}]
  containers: [{name: main, image: "${shell}", command: [sh, -c, "sleep 100000"]}]
`, pod, node)))
	r.Running(pod)
	require.Equal(r.T, "here", r.OK(pod, "echo here"))
}
