package admission

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/workloads/cacheoperator"
	"github.com/gameday-bench/gameday/workloads/cacheoperator/api/v1alpha1"
)

const sessions = `
apiVersion: cache.example.com/v1alpha1
kind: Cache
metadata: {name: sessions}
spec: {replicas: 2, storage: {size: 1Mi}}
`

// caches is a rig with the operator.
type caches struct {
	*clustertest.Rig
}

func newCaches(t *testing.T) caches {
	t.Helper()
	r := fixture.Rig(t)
	r.Install(cacheoperator.New(), cacheoperator.Namespace)
	return caches{r}
}

// status waits until holds is true for the status that tells of the newest generation.
func (c caches) status(what string, holds func(v1alpha1.CacheStatus) bool) {
	c.T.Helper()
	c.Eventually(what, func() (bool, string) {
		object, err := c.Client(c.Decode(sessions)[0]).Get(c.T.Context(), "sessions", metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		var cache v1alpha1.Cache
		require.NoError(c.T, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &cache))
		return cache.Status.ObservedGeneration == cache.Generation && holds(cache.Status), fmt.Sprintf("%+v", cache.Status)
	})
}

// TestOperator: a controller that runs as a pod makes of its resource what the resource asks for.
func TestOperator(t *testing.T) {
	c := newCaches(t)
	refused := c.Decode("{apiVersion: cache.example.com/v1alpha1, kind: Cache, metadata: {name: bad}, spec: {replicas: -1}}")[0]
	c.Eventually("the definition's own rules are enforced", func() (bool, string) {
		_, err := c.Client(refused).Create(t.Context(), refused, metav1.CreateOptions{})
		return apierrors.IsInvalid(err), fmt.Sprint(err)
	})
	c.Create(sessions)
	c.status("both servers are ready", func(s v1alpha1.CacheStatus) bool {
		return s.ReadyReplicas == 2 && s.Conditions[0].Status == metav1.ConditionTrue && s.Conditions[1].Status == metav1.ConditionTrue
	})
	require.Contains(t, c.OK("sessions-0", "redis-cli -h sessions ping"), "PONG")
	service, err := c.Kube.CoreV1().Services(c.Namespace).Get(t.Context(), "sessions", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "Cache", service.OwnerReferences[0].Kind)

	t.Run("scale", func(t *testing.T) {
		c := caches{c.With(t)}
		_, err := c.Client(c.Decode(sessions)[0]).Patch(t.Context(), "sessions", types.MergePatchType, []byte(`{"spec":{"replicas":1}}`), metav1.PatchOptions{}, "scale")
		require.NoError(t, err)
		c.status("one server is left", func(s v1alpha1.CacheStatus) bool { return s.Replicas == 1 && s.ReadyReplicas == 1 })
	})
	t.Run("drift", func(t *testing.T) {
		c := caches{c.With(t)}
		sets := c.Kube.AppsV1().StatefulSets(c.Namespace)
		_, err := sets.Patch(t.Context(), "sessions", types.MergePatchType, []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{})
		require.NoError(t, err)
		c.Eventually("what somebody else changed is put right", func() (bool, string) {
			set, err := sets.Get(t.Context(), "sessions", metav1.GetOptions{})
			require.NoError(t, err)
			return *set.Spec.Replicas == 1, fmt.Sprint(*set.Spec.Replicas)
		})
		require.NoError(t, c.Kube.CoreV1().Services(c.Namespace).Delete(t.Context(), "sessions", metav1.DeleteOptions{}))
		c.Eventually("what somebody deleted is made again", func() (bool, string) {
			_, err := c.Kube.CoreV1().Services(c.Namespace).Get(t.Context(), "sessions", metav1.GetOptions{})
			return err == nil, fmt.Sprint(err)
		})
	})
	t.Run("leader", func(t *testing.T) {
		c := caches{c.With(t)}
		leader := func() string {
			lease, err := c.Kube.CoordinationV1().Leases(cacheoperator.Namespace).Get(t.Context(), "cache-operator.cache.example.com", metav1.GetOptions{})
			require.NoError(t, err)
			if lease.Spec.HolderIdentity == nil {
				return ""
			}
			return *lease.Spec.HolderIdentity
		}
		before := leader()
		require.NotEmpty(t, before)
		scale(c.Rig, 2)
		c.In(cacheoperator.Namespace).Available(cacheoperator.Name)
		require.Equal(t, before, leader(), "the second one waits")
		scale(c.Rig, 0)
		c.Eventually("the lease is given back", func() (bool, string) { return leader() == "", leader() })
		scale(c.Rig, 1)
		c.Eventually("another one leads", func() (bool, string) { return leader() != "" && leader() != before, leader() })
	})
	t.Run("garbage", func(t *testing.T) {
		c := caches{c.With(t)}
		require.NoError(t, c.Client(c.Decode(sessions)[0]).Delete(t.Context(), "sessions", metav1.DeleteOptions{}))
		c.Eventually("what was owned is gone", func() (bool, string) {
			_, set := c.Kube.AppsV1().StatefulSets(c.Namespace).Get(t.Context(), "sessions", metav1.GetOptions{})
			_, service := c.Kube.CoreV1().Services(c.Namespace).Get(t.Context(), "sessions", metav1.GetOptions{})
			return apierrors.IsNotFound(set) && apierrors.IsNotFound(service), fmt.Sprint(set, service)
		})
	})
}

// scale sets the number of operators.
func scale(r *clustertest.Rig, replicas int) {
	r.T.Helper()
	_, err := r.Kube.AppsV1().Deployments(cacheoperator.Namespace).Patch(r.T.Context(), cacheoperator.Name, types.MergePatchType,
		fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas), metav1.PatchOptions{}, "scale")
	require.NoError(r.T, err)
}
