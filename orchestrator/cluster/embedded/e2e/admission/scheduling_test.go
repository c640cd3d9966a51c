package admission

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// priced is a pod of a priority class that takes its share of the resource example.com/seat, of which a node has two.
func priced(name, class string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {seats: "yes"}}
spec:
  priorityClassName: %s
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: registry.k8s.io/pause:3.10.1
    resources: {limits: {example.com/seat: 1}, requests: {example.com/seat: 1}}
`, name, class)
}

func TestPriorityAndPreemption(t *testing.T) {
	r := fixture.Rig(t)
	nodes, err := r.Kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	seat := func(patch string) {
		_, err := r.Kube.CoreV1().Nodes().Patch(t.Context(), nodes.Items[0].Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
		require.NoError(t, err)
	}
	seat(`{"status":{"capacity":{"example.com/seat":"2"},"allocatable":{"example.com/seat":"2"}}}`)
	r.Apply(fmt.Sprintf(`
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: low-%[1]s}
value: 10
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high-%[1]s}
value: 1000
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: polite-%[1]s}
value: 900
preemptionPolicy: Never
`, r.Namespace))
	r.Apply(priced("low-1", "low-"+r.Namespace))
	r.Apply(priced("low-2", "low-"+r.Namespace))
	require.Equal(t, int32(10), *r.Running("low-1").Spec.Priority)
	r.Running("low-2")
	r.Apply(priced("polite", "polite-"+r.Namespace))
	r.Event("Pod", "polite", "FailedScheduling", "Insufficient example.com/seat")
	require.Len(t, r.ReadyPods("seats=yes"), 2, "a class that never preempts waits")
	r.Apply(priced("high", "high-"+r.Namespace))
	r.Running("high")
	preempted := 0
	r.Eventually("one of the low ones has made room", func() (bool, string) {
		preempted = len(r.Events("Pod", "low-1")) + len(r.Events("Pod", "low-2"))
		return len(r.ReadyPods("seats=yes")) == 2, fmt.Sprint(preempted)
	})
	reasons := ""
	for _, name := range []string{"low-1", "low-2"} {
		for _, e := range r.Events("Pod", name) {
			reasons += e.Reason + " "
		}
	}
	require.Contains(t, reasons, "Preempted")
}

func TestDisruptionBudget(t *testing.T) {
	r := fixture.Rig(t)
	r.Apply(deployment("guarded", 2, "{}") + `---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: guarded}
spec: {minAvailable: 2, selector: {matchLabels: {app: guarded}}}
`)
	r.Available("guarded")
	allowed := func(n int32) {
		r.Eventually(fmt.Sprintf("the budget allows %d", n), func() (bool, string) {
			b, err := r.Kube.PolicyV1().PodDisruptionBudgets(r.Namespace).Get(t.Context(), "guarded", metav1.GetOptions{})
			return err == nil && b.Status.ObservedGeneration == b.Generation && b.Status.ExpectedPods == 2 && b.Status.DisruptionsAllowed == n, fmt.Sprint(b, err)
		})
	}
	allowed(0)
	victim := r.ReadyPods("app=guarded")[0]
	evict := func() error {
		return r.Kube.CoreV1().Pods(r.Namespace).EvictV1(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: victim.Name}})
	}
	err := evict()
	require.True(t, apierrors.IsTooManyRequests(err), "%v", err)
	require.ErrorContains(t, err, "Cannot evict pod as it would violate the pod's disruption budget.")
	_, err = r.Kube.PolicyV1().PodDisruptionBudgets(r.Namespace).Patch(t.Context(), "guarded", types.MergePatchType,
		[]byte(`{"spec":{"minAvailable":1}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	allowed(1)
	require.NoError(t, evict())
	r.Eventually("the evicted pod is replaced", func() (bool, string) {
		ready := r.ReadyPods("app=guarded")
		return len(ready) == 2 && ready[0].Name != victim.Name && ready[1].Name != victim.Name, fmt.Sprint(len(ready))
	})
}

// TestRightsOfAWorkload asks the API server with a pod's own token.
func TestRightsOfAWorkload(t *testing.T) {
	r := fixture.Rig(t)
	r.Apply(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: book}
data: {title: "A Tale"}
` + "---" + box("client", "  serviceAccountName: reader\n"))
	r.Running("client")
	const ask = `
d=/var/run/secrets/kubernetes.io/serviceaccount
curl -s --cacert $d/ca.crt -X %s -H "Authorization: Bearer $(cat $d/token)" https://kubernetes.default.svc/api/v1/namespaces/$(cat $d/namespace)/%s
`
	get, remove := fmt.Sprintf(ask, "GET", "configmaps/book"), fmt.Sprintf(ask, "DELETE", "configmaps/book")
	me := "system:serviceaccount:" + r.Namespace + ":reader"
	require.Contains(t, r.OK("client", get), `User \"`+me+`\" cannot get resource \"configmaps\" in API group \"\" in the namespace`)
	r.Apply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader}]
`)
	r.Eventually("the right arrives", func() (bool, string) {
		out := r.OK("client", get)
		return containsText(fmt.Errorf("%s", out), "A Tale"), out
	})
	require.Contains(t, r.OK("client", remove), `cannot delete resource \"configmaps\"`)
	_, err := r.Kube.CoreV1().ConfigMaps(r.Namespace).Get(t.Context(), "book", metav1.GetOptions{})
	require.NoError(t, err)
	r.Apply(box("mute", "  automountServiceAccountToken: false\n"))
	require.Empty(t, r.Running("mute").Spec.Volumes)
	out, code := r.Sh("mute", "cat /var/run/secrets/kubernetes.io/serviceaccount/token")
	require.NotZero(t, code, out)
	require.Equal(t, corev1.PodRunning, r.Running("mute").Status.Phase)
}
