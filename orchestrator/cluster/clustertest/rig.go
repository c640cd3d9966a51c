package clustertest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/internal/readiness"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// Patience is how long a cluster may take to follow, on a machine under load.
const Patience = 90 * time.Second

// Rig is one test's view of the cluster. What it cannot do ends the test. It is not safe for concurrent use, but for
// Eventually.
type Rig struct {
	T       *testing.T
	Cluster cluster.Cluster
	REST    *rest.Config
	Kube    kubernetes.Interface
	Dynamic dynamic.Interface
	// Namespace is where Apply, Sh and the rest work: the test's own, unless it asked for another.
	Namespace string
}

// With returns the rig for a part of the test, which shares its namespace.
func (r *Rig) With(t *testing.T) *Rig {
	part := *r
	part.T = t
	return &part
}

// In returns the rig for another namespace, which is there.
func (r *Rig) In(namespace string) *Rig {
	other := *r
	other.Namespace = namespace
	return &other
}

func (r *Rig) makeNamespace() {
	r.T.Helper()
	ns, err := r.Kube.CoreV1().Namespaces().Create(r.T.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	require.NoError(r.T, err)
	r.Namespace = ns.Name
	r.T.Cleanup(func() {
		require.NoError(r.T, r.Kube.CoreV1().Namespaces().Delete(context.Background(), r.Namespace, metav1.DeleteOptions{}))
	})
	r.Eventually("service account default is there", func() (bool, string) {
		_, err := r.Kube.CoreV1().ServiceAccounts(r.Namespace).Get(r.T.Context(), "default", metav1.GetOptions{})
		return err == nil, fmt.Sprint(err)
	})
}

// Eventually polls condition until it holds, for Patience; condition also says what it saw, which the failure shows.
func (r *Rig) Eventually(what string, condition func() (bool, string)) {
	r.T.Helper()
	r.Within(Patience, what, condition)
}

// Within is Eventually with a patience of its own.
func (r *Rig) Within(patience time.Duration, what string, condition func() (bool, string)) {
	r.T.Helper()
	last := ""
	err := wait.PollUntilContextTimeout(r.T.Context(), 100*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		done, seen := condition()
		last = seen
		return done, nil
	})
	require.NoError(r.T, err, "%s: %s", what, last)
}

// Running waits until a pod runs with all its containers ready, and returns it.
func (r *Rig) Running(name string) *corev1.Pod {
	r.T.Helper()
	return r.Pod(name, "runs", func(p *corev1.Pod) bool {
		for _, c := range p.Status.ContainerStatuses {
			if !c.Ready {
				return false
			}
		}
		return p.Status.Phase == corev1.PodRunning && p.DeletionTimestamp == nil
	})
}

// Pod waits until holds is true for a pod, and returns it. what completes the sentence "pod x ...".
func (r *Rig) Pod(name, what string, holds func(*corev1.Pod) bool) *corev1.Pod {
	r.T.Helper()
	var pod *corev1.Pod
	r.Eventually("pod "+name+" "+what, func() (bool, string) {
		var err error
		if pod, err = r.Kube.CoreV1().Pods(r.Namespace).Get(r.T.Context(), name, metav1.GetOptions{}); err != nil {
			return false, err.Error()
		}
		if holds(pod) {
			return true, ""
		}
		return false, fmt.Sprintf("%+v%s", pod.Status, describe(r.Events("Pod", name)))
	})
	return pod
}

// ReadyPods returns the ready pods of the namespace with a label.
func (r *Rig) ReadyPods(selector string) []corev1.Pod {
	r.T.Helper()
	list, err := r.Kube.CoreV1().Pods(r.Namespace).List(r.T.Context(), metav1.ListOptions{LabelSelector: selector})
	require.NoError(r.T, err)
	var out []corev1.Pod
	for _, p := range list.Items {
		if IsReady(&p) {
			out = append(out, p)
		}
	}
	return out
}

// IsReady is true for a pod that is ready and stays.
func IsReady(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && readiness.Pod(p)
}

// Available waits until a deployment has all its replicas available at its newest generation.
func (r *Rig) Available(deployment string) {
	r.T.Helper()
	r.Eventually("deployment "+deployment+" is available", func() (bool, string) {
		d, err := r.Kube.AppsV1().Deployments(r.Namespace).Get(r.T.Context(), deployment, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		s := d.Status
		return s.ObservedGeneration == d.Generation && s.Replicas == *d.Spec.Replicas && s.UpdatedReplicas == s.Replicas &&
			s.AvailableReplicas == s.Replicas, fmt.Sprintf("%+v", s)
	})
}

// Scale sets how many replicas a deployment is to have. It takes a context because clean-ups call it, when the test's own is over.
func (r *Rig) Scale(ctx context.Context, deployment string, replicas int) {
	r.T.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	_, err := r.Kube.AppsV1().Deployments(r.Namespace).Patch(ctx, deployment, types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(r.T, err)
}

// DeletePod deletes a pod and waits until it is gone.
func (r *Rig) DeletePod(name string) {
	r.T.Helper()
	require.NoError(r.T, r.Kube.CoreV1().Pods(r.Namespace).Delete(r.T.Context(), name, metav1.DeleteOptions{}))
	r.Eventually("pod "+name+" is gone", func() (bool, string) {
		p, err := r.Kube.CoreV1().Pods(r.Namespace).Get(r.T.Context(), name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), fmt.Sprintf("%+v", p.Status)
	})
}

// Events returns the events about an object, in any namespace.
func (r *Rig) Events(kind, name string) []corev1.Event {
	r.T.Helper()
	list, err := r.Kube.CoreV1().Events("").List(r.T.Context(), metav1.ListOptions{FieldSelector: "involvedObject.kind=" + kind + ",involvedObject.name=" + name})
	require.NoError(r.T, err)
	return list.Items
}

// Event waits for an event about an object whose message contains text, and returns it.
func (r *Rig) Event(kind, name, reason, text string) corev1.Event {
	r.T.Helper()
	var found corev1.Event
	r.Eventually(fmt.Sprintf("event %s of %s %s says %q", reason, kind, name, text), func() (bool, string) {
		all := r.Events(kind, name)
		for _, e := range all {
			if e.Reason == reason && strings.Contains(e.Message, text) {
				found = e
				return true, ""
			}
		}
		return false, describe(all)
	})
	return found
}

func describe(events []corev1.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "\n%s %s %s", e.Type, e.Reason, e.Message)
	}
	return b.String()
}
