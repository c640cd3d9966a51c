package operator

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/workloads/cacheoperator"
)

// managed is the cache that the operator keeps for the service rate, in place of the application's own.
const managed = `
apiVersion: cache.example.com/v1alpha1
kind: Cache
metadata: {name: rates}
spec:
  replicas: 1
  password: {name: redis-rate, key: password}
  resources: {requests: {cpu: 20m, memory: 48Mi}, limits: {memory: 128Mi}}
`

// operated is the application with one of its caches made by an operator.
type operated struct {
	*clustertest.Site
}

func (o operated) with(t *testing.T) operated { return operated{o.With(t)} }

// operate installs the operator and lets the service use a cache of it, until the test ends.
func operate(t *testing.T, s *clustertest.Site) operated {
	t.Helper()
	o := operated{s}
	s.Install(cacheoperator.New(), cacheoperator.Namespace)
	o.Create(managed)
	o.ready()
	use := func(address string) {
		_, err := s.Kube.CoreV1().ConfigMaps(s.Namespace).Patch(context.Background(), "rate-config", types.MergePatchType,
			fmt.Appendf(nil, `{"data":{"CACHE_ADDR":%q}}`, address), metav1.PatchOptions{})
		require.NoError(t, err)
		_, err = s.Kube.AppsV1().Deployments(s.Namespace).Patch(context.Background(), "rate", types.StrategicMergePatchType,
			fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{"cache":%q}}}}}`, address), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	t.Cleanup(func() { use("redis-rate:6379") })
	use("rates:6379")
	s.Available("rate")
	o.served()
	return o
}

// patch changes the Cache's specification.
func (o operated) patch(spec string) {
	o.T.Helper()
	_, err := o.Client(o.Decode(managed)[0]).Patch(o.T.Context(), "rates", types.MergePatchType, []byte(`{"spec":`+spec+`}`), metav1.PatchOptions{})
	require.NoError(o.T, err)
}

// condition waits until a condition of the Cache, for its newest generation, has a status and a message that holds words.
func (o operated) condition(kind, status, words string) {
	o.T.Helper()
	o.Eventually(fmt.Sprintf("the cache is %s=%s: %s", kind, status, words), func() (bool, string) {
		cache, err := o.Client(o.Decode(managed)[0]).Get(o.T.Context(), "rates", metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		conditions, _, _ := unstructured.NestedSlice(cache.Object, "status", "conditions")
		for _, one := range conditions {
			c, _ := one.(map[string]any)
			if c["type"] == kind && c["status"] == status && c["observedGeneration"] == cache.GetGeneration() {
				message, _ := c["message"].(string)
				return strings.Contains(message, words), message
			}
		}
		return false, fmt.Sprint(conditions)
	})
}

func (o operated) ready() {
	o.T.Helper()
	o.condition("Reconciled", "True", "")
	o.condition("Ready", "True", "")
}

// served waits until the service finds what it looks for in its cache, and never fails to look.
func (o operated) served() {
	o.T.Helper()
	o.Value("hits of the cache", lookups("hit"), clustertest.Some)
	o.Value("no failure of the cache", lookups("error"), clustertest.None)
}

// lookups is the rate of the service's look-ups with a result. It is 0, and not nothing, while there are none.
func lookups(result string) string {
	return fmt.Sprintf(`sum(rate(cache_requests_total{service="rate",result=%q}[6s])) or vector(0)`, result)
}

// failures is the rate at which the operator fails to do what Caches want.
const failures = `sum(rate(controller_runtime_reconcile_errors_total{controller="cache"}[10s])) or vector(0)`

// TestOperator breaks an operator, and what it is told.
func TestOperator(t *testing.T) {
	o := operate(t, fixture.Site(t, rate))
	for name, mistake := range map[string]struct{ spec, words, repair string }{
		"a toleration with an effect that is not": {
			`{"tolerations":[{"key":"dedicated","operator":"Exists","effect":"TakeNoEffect"}]}`, `"TakeNoEffect"`, `{"tolerations":null}`,
		},
		"an update strategy that is not": {`{"updateStrategy":{"type":"SomeStrategy"}}`, `"SomeStrategy"`, `{"updateStrategy":null}`},
		"a user below zero":              {`{"securityContext":{"runAsUser":-1}}`, "runAsUser", `{"securityContext":null}`},
		"storage for a cache that has none": {
			`{"storage":{"className":"ultra-fast","size":"16Mi"}}`, "updates to statefulset spec for fields other than", `{"storage":null}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := o.with(t)
			o.patch(mistake.spec)
			o.Value("failures of the operator", failures, clustertest.Some)
			o.condition("Reconciled", "False", mistake.words)
			o.Event("Cache", "rates", "ReconcileFailed", mistake.words)
			o.patch(mistake.repair)
			o.ready()
			o.Value("no failure of the operator", failures, clustertest.None)
		})
	}
	t.Run("servers that may not be root and are", func(t *testing.T) {
		o := o.with(t)
		o.patch(`{"securityContext":{"runAsNonRoot":true}}`)
		o.Value("failures of the cache", lookups("error"), clustertest.Some)
		o.Value("a container that cannot be made",
			`kube_pod_container_status_waiting_reason{namespace="hotel",pod="rates-0",reason="CreateContainerConfigError"}`, clustertest.Some)
		o.patch(`{"securityContext":null}`)
		o.condition("Reconciled", "True", "")
		o.lose()
		o.ready()
		o.served()
	})
	t.Run("more servers than there is room for", func(t *testing.T) {
		o := o.with(t)
		o.patch(`{"replicas":2000,"resources":{"requests":{"cpu":"2"}}}`)
		o.Value("servers that are missing", `kube_statefulset_replicas{statefulset="rates"} - kube_statefulset_status_replicas_ready{statefulset="rates"}`, clustertest.Some)
		o.Value("a server without a node", `sum(kube_pod_status_phase{namespace="hotel",pod=~"rates-.*",phase="Pending"})`, clustertest.Some)
		o.condition("Ready", "False", "of 2000 replicas")
		o.patch(`{"replicas":1,"resources":{"requests":{"cpu":"20m"}}}`)
		o.ready()
		o.served()
	})
	t.Run("storage of a class that is not", func(t *testing.T) {
		o := o.with(t)
		o.remove()
		o.Create(managed + "  storage: {className: ultra-fast, size: 16Mi}\n")
		o.Value("failures of the cache", lookups("error"), clustertest.Some)
		o.Value("a claim without a volume", `kube_persistentvolumeclaim_status_phase{namespace="hotel",persistentvolumeclaim="data-rates-0",phase="Pending"}`, clustertest.Some)
		o.remove()
		require.NoError(t, o.Kube.CoreV1().PersistentVolumeClaims(o.Namespace).Delete(t.Context(), "data-rates-0", metav1.DeleteOptions{}))
		o.Create(managed)
		o.ready()
		o.served()
	})
	t.Run("rights are taken away", func(t *testing.T) {
		o := o.with(t)
		o.Value("no failure of the operator", failures, clustertest.None)
		bindings := o.Kube.RbacV1().ClusterRoleBindings()
		before, err := bindings.Get(t.Context(), cacheoperator.Name, metav1.GetOptions{})
		require.NoError(t, err)
		require.NoError(t, bindings.Delete(t.Context(), before.Name, metav1.DeleteOptions{}))
		o.patch(`{"maxMemory":"8Mi"}`)
		o.Value("failures of the operator", failures, clustertest.Some)
		before.ResourceVersion = ""
		_, err = bindings.Create(t.Context(), before, metav1.CreateOptions{})
		require.NoError(t, err)
		o.ready()
		o.served()
	})
	t.Run("the operator's image is not there", func(t *testing.T) {
		o := o.with(t)
		image := func(name string) {
			_, err := o.Kube.AppsV1().Deployments(cacheoperator.Namespace).Patch(t.Context(), cacheoperator.Name, types.StrategicMergePatchType,
				fmt.Appendf(nil, `{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"},"template":{"spec":{"containers":[{"name":"manager","image":%q}]}}}}`, name), metav1.PatchOptions{})
			require.NoError(t, err)
		}
		image(cacheoperator.Image + "-typo")
		o.Value("no operator", `kube_deployment_status_replicas_available{namespace="cache-operator",deployment="cache-operator"}`, clustertest.None)
		o.patch(`{"replicas":2}`)
		o.Value("the image missed", `kube_pod_container_status_waiting_reason{namespace="cache-operator",reason=~"ErrImagePull|ImagePullBackOff"}`, clustertest.Some)
		image(cacheoperator.Image)
		o.ready()
		o.Value("both servers", `kube_statefulset_status_replicas_ready{statefulset="rates"}`, func(v float64) bool { return v == 2 })
		o.served()
	})
	o.Healthy()
}

// lose deletes the server's pod: a StatefulSet does not replace a pod that never became ready.
func (o operated) lose() {
	o.T.Helper()
	err := o.Kube.CoreV1().Pods(o.Namespace).Delete(o.T.Context(), "rates-0", metav1.DeleteOptions{})
	require.True(o.T, err == nil || apierrors.IsNotFound(err), "%v", err)
}

// remove deletes the Cache and waits until its servers are gone, too.
func (o operated) remove() {
	o.T.Helper()
	require.NoError(o.T, o.Client(o.Decode(managed)[0]).Delete(o.T.Context(), "rates", metav1.DeleteOptions{}))
	o.Eventually("the garbage collector has removed the servers", func() (bool, string) {
		_, err := o.Kube.AppsV1().StatefulSets(o.Namespace).Get(o.T.Context(), "rates", metav1.GetOptions{})
		pods := o.ReadyPods("app.kubernetes.io/name=rates")
		return apierrors.IsNotFound(err) && len(pods) == 0, fmt.Sprint(err, len(pods))
	})
}
