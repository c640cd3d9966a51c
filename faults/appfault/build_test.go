package appfault_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubefake "k8s.io/client-go/kubernetes/fake"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/faults/faultstest"
	_ "github.com/gameday-bench/gameday/faults/types"
)

const oldImage = "registry.local:5000/hotel/profile:2.3.1"

func profile(image string) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "profile", Image: image}}}
}

func newKube() *kubefake.Clientset {
	labels := map[string]string{"app.kubernetes.io/name": "profile"}
	return kubefake.NewClientset(&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hotel", Name: "profile"},
		Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{Spec: profile(oldImage)}},
	}, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hotel", Name: "profile-a", Labels: labels},
		Spec:       profile(oldImage), Status: corev1.PodStatus{Phase: corev1.PodRunning},
	})
}

var release = map[string]string{"namespace": "hotel", "deployment": "profile", "tag": "2.3.2"}

func TestBuildConformance(t *testing.T) {
	t.Parallel()
	env := faultstest.Env(newKube(), nil, "hotel", "chaos-mesh")
	faultstest.Run(t, func() faults.Fault { return faultstest.New(t, "buggy-release", release) }, env)
}

func TestBuildIsLiveWhileItRuns(t *testing.T) {
	t.Parallel()
	kube := newKube()
	env := faultstest.Env(kube, nil, "hotel", "chaos-mesh")
	f := faultstest.New(t, "buggy-release", release)
	require.NoError(t, f.Inject(t.Context(), env))
	d, err := kube.AppsV1().Deployments("hotel").Get(t.Context(), "profile", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "registry.local:5000/hotel/profile:2.3.2", d.Spec.Template.Spec.Containers[0].Image)

	// The bad pod is still there after the Deployment has been rolled back.
	pod, err := kube.CoreV1().Pods("hotel").Get(t.Context(), "profile-a", metav1.GetOptions{})
	require.NoError(t, err)
	pod.Spec = d.Spec.Template.Spec
	_, err = kube.CoreV1().Pods("hotel").Update(t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(t, err)
	d.Spec.Template.Spec = profile(oldImage)
	_, err = kube.AppsV1().Deployments("hotel").Update(t.Context(), d, metav1.UpdateOptions{})
	require.NoError(t, err)
	state, err := f.Probe(t.Context(), env)
	require.NoError(t, err)
	require.True(t, state.Live)
	require.Contains(t, state.Detail, "pod profile-a still runs image")

	require.NoError(t, kube.CoreV1().Pods("hotel").Delete(t.Context(), "profile-a", metav1.DeleteOptions{}))
	faultstest.Await(t, f, env, false)
	require.NoError(t, f.Recover(t.Context(), env))

	require.NoError(t, kube.AppsV1().Deployments("hotel").Delete(t.Context(), "profile", metav1.DeleteOptions{}))
	require.NoError(t, f.Recover(t.Context(), env))
	faultstest.Await(t, f, env, false)
}
