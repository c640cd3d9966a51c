package chaosmesh

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestMayLand(t *testing.T) {
	t.Parallel()
	taint := corev1.Taint{Key: "network", Value: "bad", Effect: corev1.TaintEffectNoSchedule}
	away := &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
			{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpNotIn, Values: []string{"node-1"}},
		}}},
	}}}
	tests := []struct {
		name     string
		node     corev1.NodeSpec
		pod      corev1.PodSpec
		replicas *int32
		want     bool
	}{
		{name: "open", want: true},
		{name: "cordoned", node: corev1.NodeSpec{Unschedulable: true}},
		{name: "tainted", node: corev1.NodeSpec{Taints: []corev1.Taint{taint}}},
		{name: "tainted softly", node: corev1.NodeSpec{Taints: []corev1.Taint{{Key: "network", Effect: corev1.TaintEffectPreferNoSchedule}}}, want: true},
		{name: "tolerated", node: corev1.NodeSpec{Taints: []corev1.Taint{taint}}, pod: corev1.PodSpec{Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}}}, want: true},
		{name: "another is tolerated", node: corev1.NodeSpec{Taints: []corev1.Taint{taint}}, pod: corev1.PodSpec{Tolerations: []corev1.Toleration{{Key: "network", Value: "good"}}}},
		{name: "sent away", pod: corev1.PodSpec{Affinity: away}},
		{name: "sent elsewhere", pod: corev1.PodSpec{NodeSelector: map[string]string{corev1.LabelHostname: "node-2"}}},
		{name: "sent there", pod: corev1.PodSpec{NodeSelector: map[string]string{corev1.LabelHostname: "node-1"}}, want: true},
		{name: "no replicas", replicas: ptr.To[int32](0)},
	}
	for _, tc := range tests {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{corev1.LabelHostname: "node-1"}}, Spec: tc.node}
		d := appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: tc.replicas, Template: corev1.PodTemplateSpec{Spec: tc.pod}}}
		got, err := mayLand(d, node)
		require.NoError(t, err, tc.name)
		require.Equal(t, tc.want, got, tc.name)
	}
}
