package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

// etcd is what the examples of IOChaos and TimeChaos select.
const etcd = `
apiVersion: v1
kind: Pod
metadata: {name: etcd, labels: {app: etcd, app.kubernetes.io/component: tikv}}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: data, emptyDir: {}}, {name: node, hostPath: {path: /srv/etcd}}]
  containers:
    - name: etcd
      image: registry.local/library/busybox:1.36
      args: [sh, -c, "sleep 100000"]
      volumeMounts: [{name: data, mountPath: /var/run/etcd}, {name: node, mountPath: /node}]
`

// status is the state of a chaos object as conditions, events and records tell it.
func status(r *clustertest.Rig, o *unstructured.Unstructured) map[string]any {
	r.T.Helper()
	now, err := r.Client(o).Get(r.T.Context(), o.GetName(), metav1.GetOptions{})
	require.NoError(r.T, err)
	out, _, _ := unstructured.NestedMap(now.Object, "status")
	return out
}

// condition waits until a condition of a chaos object is true.
func condition(r *clustertest.Rig, o *unstructured.Unstructured, kind string) {
	r.T.Helper()
	r.Eventually(o.GetKind()+" "+o.GetName()+" is "+kind, func() (bool, string) {
		now := status(r, o)
		conditions, _, _ := unstructured.NestedSlice(now, "conditions")
		for _, c := range conditions {
			if c := c.(map[string]any); c["type"] == kind && c["status"] == "True" {
				return true, ""
			}
		}
		return false, fmt.Sprint(now)
	})
}

// inject creates the chaos of a manifest and waits until it is injected; undo deletes it and waits until it is gone.
func inject(r *clustertest.Rig, text string) (o *unstructured.Unstructured, undo func()) {
	r.T.Helper()
	o = r.Decode(text)[0]
	client := r.Client(o)
	_, err := client.Create(r.T.Context(), o, metav1.CreateOptions{})
	require.NoError(r.T, err)
	undo = func() {
		err := client.Delete(context.Background(), o.GetName(), metav1.DeleteOptions{})
		require.True(r.T, err == nil || apierrors.IsNotFound(err), "%v", err)
		r.Eventually("recovered", func() (bool, string) {
			now, err := client.Get(context.Background(), o.GetName(), metav1.GetOptions{})
			return apierrors.IsNotFound(err), fmt.Sprint(now)
		})
	}
	r.T.Cleanup(undo)
	condition(r, o, "AllInjected")
	return o, undo
}

// TestClocksAndFiles injects what acts on the clocks and the files of one container.
func TestClocksAndFiles(t *testing.T) {
	t.Parallel()
	r := fixture.Rig(t)
	r.Apply(etcd)
	r.Running("etcd")
	for _, tc := range []struct {
		name string
		run  func(*clustertest.Rig)
	}{
		{"time", timeChaos}, {"io-fault", ioFault}, {"io-latency", ioLatency}, {"io-attr", ioAttr}, {"io-mistake", ioMistake},
		{"block-delay", blockDelay}, {"refused", refused},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.run(r.With(t)) })
	}
}

// date is the time of day in the pod, in seconds.
func date(r *clustertest.Rig) int64 {
	r.T.Helper()
	seconds, err := strconv.ParseInt(r.OK("etcd", "date +%s"), 10, 64)
	require.NoError(r.T, err)
	return seconds
}

func timeChaos(r *clustertest.Rig) {
	_, undo := inject(r, exampleText(r.T, "time-chaos-example.yaml"))
	require.InDelta(r.T, time.Now().Add(-10*time.Minute).Unix(), date(r), 30)
	undo()
	require.InDelta(r.T, time.Now().Unix(), date(r), 30)
}

func ioFault(r *clustertest.Rig) {
	text := exampleText(r.T, "io-errno-example.yaml")
	r.OK("etcd", "echo sound > /var/run/etcd/a")
	_, undo := inject(r, strings.Replace(text, "percent: 50", "percent: 100\n  containerNames: [etcd]", 1))
	r.Fails("etcd", "cat /var/run/etcd/a", "nput/output error")
	r.OK("etcd", "echo elsewhere > /tmp/a")
	undo()
	require.Equal(r.T, "sound", r.OK("etcd", "cat /var/run/etcd/a"))
}

func ioLatency(r *clustertest.Rig) {
	r.OK("etcd", "echo sound > /var/run/etcd/a")
	text := strings.NewReplacer("10ms", "400ms", "percent: 10", "percent: 100\n  methods: [read]").Replace(exampleText(r.T, "io-delay-example.yaml"))
	took := func() time.Duration {
		begin := time.Now()
		require.Equal(r.T, "sound", r.OK("etcd", "cat /var/run/etcd/a"))
		return time.Since(begin)
	}
	_, undo := inject(r, text)
	require.Greater(r.T, took(), 800*time.Millisecond, "the data, and the end of the file")
	undo()
	r.Eventually("it is fast again", func() (bool, string) {
		d := took()
		return d < 800*time.Millisecond, d.String()
	})
}

func ioAttr(r *clustertest.Rig) {
	r.OK("etcd", "echo sound > /var/run/etcd/a && chmod 644 /var/run/etcd/a")
	_, undo := inject(r, strings.Replace(exampleText(r.T, "io-attr-example.yaml"), "percent: 10", "percent: 100", 1))
	require.Contains(r.T, r.OK("etcd", "ls -l /var/run/etcd/a"), "---x--x---")
	undo()
	require.Contains(r.T, r.OK("etcd", "ls -l /var/run/etcd/a"), "-rw-r--r--")
}

func ioMistake(r *clustertest.Rig) {
	r.OK("etcd", "echo sound > /var/run/etcd/a")
	_, undo := inject(r, `
apiVersion: chaos-mesh.org/v1alpha1
kind: IOChaos
metadata: {name: io-mistake}
spec:
  action: mistake
  mode: one
  selector: {labelSelectors: {app: etcd}}
  volumePath: /var/run/etcd
  methods: [read]
  percent: 100
  mistake: {filling: zero, maxOccurrences: 1, maxLength: 6}
`)
	require.NotEqual(r.T, "sound", r.OK("etcd", "cat /var/run/etcd/a"))
	undo()
	require.Equal(r.T, "sound", r.OK("etcd", "cat /var/run/etcd/a"))
}

func blockDelay(r *clustertest.Rig) {
	r.OK("etcd", "echo sound > /node/a")
	text := strings.NewReplacer("app: hostpath-example", "app: etcd", "volumeName: hostpath-example", "volumeName: node\n  containerNames: [etcd]").
		Replace(exampleText(r.T, "blockchaos/blockchaos-delay-example.yaml"))
	_, undo := inject(r, text)
	begin := time.Now()
	r.OK("etcd", "echo more > /node/a")
	require.Greater(r.T, time.Since(begin), time.Second)
	undo()
	r.Eventually("it is fast again", func() (bool, string) {
		begin := time.Now()
		r.OK("etcd", "echo more > /node/a")
		return time.Since(begin) < time.Second, time.Since(begin).String()
	})
}

// refused applies what cannot be done, and looks for the reason in the object. KernelChaos fails in Chaos Mesh's own
// controller, before a node is asked.
func refused(r *clustertest.Rig) {
	for _, tc := range []struct{ text, reason string }{
		{`
apiVersion: chaos-mesh.org/v1alpha1
kind: JVMChaos
metadata: {name: jvm}
spec: {action: gc, mode: one, selector: {labelSelectors: {app: etcd}}}
`, "JVMChaos is not supported on this cluster"},
		{`
apiVersion: chaos-mesh.org/v1alpha1
kind: KernelChaos
metadata: {name: kernel}
spec: {mode: one, selector: {labelSelectors: {app: etcd}}, failKernRequest: {failtype: 0, probability: 100}}
`, "too few parts of namespacedname"},
	} {
		o := r.Decode(tc.text)[0]
		_, err := r.Client(o).Create(r.T.Context(), o, metav1.CreateOptions{})
		require.NoError(r.T, err)
		r.Eventually(o.GetKind()+" says why it is refused", func() (bool, string) {
			seen := fmt.Sprint(status(r, o))
			return strings.Contains(seen, tc.reason), seen
		})
		require.NoError(r.T, r.Client(o).Delete(r.T.Context(), o.GetName(), metav1.DeleteOptions{}))
		r.Eventually("it can be deleted", func() (bool, string) {
			now, err := r.Client(o).Get(r.T.Context(), o.GetName(), metav1.GetOptions{})
			return apierrors.IsNotFound(err), fmt.Sprint(now)
		})
	}
}
