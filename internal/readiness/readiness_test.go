package readiness_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/gameday-bench/gameday/internal/readiness"
)

func TestReady(t *testing.T) {
	t.Parallel()
	for status, want := range map[corev1.ConditionStatus]bool{corev1.ConditionTrue: true, corev1.ConditionFalse: false, corev1.ConditionUnknown: false} {
		node := &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue}, {Type: corev1.NodeReady, Status: status},
		}}}
		require.Equal(t, want, readiness.Node(node), string(status))
		pod := &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: status},
		}}}
		require.Equal(t, want, readiness.Pod(pod), string(status))
	}
	require.False(t, readiness.Node(&corev1.Node{}), "a node that has said nothing")
	require.False(t, readiness.Pod(&corev1.Pod{}), "a pod that is not scheduled")
}
