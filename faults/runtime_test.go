package faults_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubefake "k8s.io/client-go/kubernetes/fake"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/faults/faultstest"
	"github.com/gameday-bench/gameday/internal/errs"
)

func TestReadRuntime(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"app": "geo"}
	pod := func(name, node string, ready corev1.ConditionStatus) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "hotel", Name: name, Labels: labels}, Spec: corev1.PodSpec{NodeName: node},
			Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
		}
	}
	kube := kubefake.NewClientset(
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "hotel", Name: "geo"}, Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}}},
		pod("geo-a", "node-1", corev1.ConditionFalse), pod("geo-c", "node-3", corev1.ConditionTrue), pod("geo-b", "node-2", corev1.ConditionTrue),
	)
	env := faultstest.Env(kube, nil, "hotel", "chaos-mesh")
	got, err := faults.ReadRuntime(t.Context(), env, map[string]string{"node": "nodeOf Deployment/geo", "pod": "podOf Deployment/geo"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"node": "node-2", "pod": "geo-b"}, got)

	_, err = faults.ReadRuntime(t.Context(), env, map[string]string{"node": "nodeOf Deployment/rate"})
	require.ErrorContains(t, err, `read runtime value node (nodeOf Deployment/rate): deployments.apps "rate" not found`)
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	_, err = faults.ReadRuntime(t.Context(), env, map[string]string{"node": "zoneOf Deployment/geo"})
	require.ErrorContains(t, err, "want nodeOf or podOf")
	require.Equal(t, errs.Usage, errs.PartyOf(err))
}
