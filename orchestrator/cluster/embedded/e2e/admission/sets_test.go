package admission

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestStatefulSet(t *testing.T) {
	r := fixture.Rig(t)
	r.Apply(`
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 3
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Delete}
  selector: {matchLabels: {app: db}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: registry.k8s.io/e2e-test-images/busybox:1.37.0-1
        command: [sh, -c, "touch /data/ready; sleep 3600"]
        readinessProbe: {exec: {command: [cat, /data/ready]}, periodSeconds: 1}
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
`)
	r.Running("db-2")
	ready := func(name string) metav1.Time {
		for _, c := range r.Running(name).Status.Conditions {
			if c.Type == corev1.PodReady {
				return c.LastTransitionTime
			}
		}
		return metav1.Time{}
	}
	for i := range 2 {
		first, next := ready(fmt.Sprintf("db-%d", i)), r.Running(fmt.Sprintf("db-%d", i+1)).CreationTimestamp
		require.False(t, next.Before(&first), "db-%d is made when db-%d is ready", i+1, i)
	}
	require.Contains(t, r.OK("db-0", "nslookup db-1.db"), r.Running("db-1").Status.PodIP)
	patch := func(text string) {
		t.Helper()
		_, err := r.Kube.AppsV1().StatefulSets(r.Namespace).Patch(t.Context(), "db", types.MergePatchType, []byte(text), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	old := map[string]types.UID{}
	for _, name := range []string{"db-0", "db-1", "db-2"} {
		old[name] = r.Running(name).UID
	}
	patch(`{"spec":{"template":{"metadata":{"annotations":{"edition":"2"}}}}}`)
	r.Pod("db-2", "is of the second edition", func(p *corev1.Pod) bool { return p.UID != old["db-2"] && p.Annotations["edition"] == "2" })
	r.Running("db-2")
	require.Equal(t, old["db-1"], r.Running("db-1").UID, "below the partition nothing is updated")
	require.Equal(t, old["db-0"], r.Running("db-0").UID)
	claim := func(name string, there bool) {
		t.Helper()
		r.Eventually(fmt.Sprintf("claim %s there: %t", name, there), func() (bool, string) {
			_, err := r.Kube.CoreV1().PersistentVolumeClaims(r.Namespace).Get(t.Context(), name, metav1.GetOptions{})
			return apierrors.IsNotFound(err) != there, fmt.Sprint(err)
		})
	}
	claim("data-db-2", true)
	patch(`{"spec":{"replicas":1}}`)
	claim("data-db-2", false)
	claim("data-db-1", false)
	claim("data-db-0", true)
	require.NoError(t, r.Kube.AppsV1().StatefulSets(r.Namespace).Delete(t.Context(), "db", metav1.DeleteOptions{}))
	claim("data-db-0", false)
}

func TestDaemonSet(t *testing.T) {
	r := fixture.Rig(t)
	nodes, err := r.Kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	tainted := nodes.Items[len(nodes.Items)-1].Name
	taint := func(taints string) {
		t.Helper()
		_, err := r.Kube.CoreV1().Nodes().Patch(context.Background(), tainted, types.MergePatchType, []byte(`{"spec":{"taints":`+taints+`}}`), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	taint(`[{"key":"example.com/apart","effect":"NoSchedule"}]`)
	t.Cleanup(func() { taint("null") })
	r.Apply(`
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: each}
spec:
  selector: {matchLabels: {app: each}}
  updateStrategy: {rollingUpdate: {maxUnavailable: 1}}
  template:
    metadata: {labels: {app: each}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "registry.k8s.io/pause:3.10.1"}]
`)
	on := func(n int, what string) {
		t.Helper()
		r.Eventually(what, func() (bool, string) {
			d, err := r.Kube.AppsV1().DaemonSets(r.Namespace).Get(t.Context(), "each", metav1.GetOptions{})
			require.NoError(t, err)
			s := d.Status
			return s.ObservedGeneration == d.Generation && int(s.DesiredNumberScheduled) == n && int(s.NumberAvailable) == n &&
				int(s.UpdatedNumberScheduled) == n, fmt.Sprintf("%+v", s)
		})
	}
	on(len(nodes.Items)-1, "it is not on the tainted node")
	before := r.ReadyPods("app=each")
	_, err = r.Kube.AppsV1().DaemonSets(r.Namespace).Patch(t.Context(), "each", types.MergePatchType,
		[]byte(`{"spec":{"template":{"spec":{"tolerations":[{"key":"example.com/apart","operator":"Exists"}]}}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	on(len(nodes.Items), "one that tolerates the taint is on all nodes")
	for _, now := range r.ReadyPods("app=each") {
		for _, was := range before {
			require.NotEqual(t, was.UID, now.UID, "the update has replaced every pod")
		}
	}
}
