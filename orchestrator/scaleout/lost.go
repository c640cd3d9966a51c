package scaleout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// The reasons of pods that are ended because nobody else can: their node does not answer, or does not end them although it does.
const (
	nodeLost   = "NodeLost"
	podOverdue = "PodOverdue"
)

// dropLost ends the pods that are to go and that the kubelet of their node does not end, most often because it is gone. Without that
// the Job makes no other pod for their indexes, and their namespace is never removed.
func (s *session) dropLost(ctx context.Context, pods []corev1.Pod) error {
	var all []error
	now := s.Clock.Now()
	for i := range pods {
		pod := &pods[i]
		if pod.DeletionTimestamp == nil {
			continue
		}
		since, known := s.leaving[pod.UID]
		if !known {
			since = now
			s.leaving[pod.UID] = now
		}
		// The time of the API server is another one than ours: only how long we have seen it counts.
		reason, why := s.lost(ctx, pod, now.Sub(since))
		if reason == "" {
			continue
		}
		if err := s.drop(ctx, pod, reason, why); err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// lost says why nobody else ends a pod that has been on its way out for so long. reason is empty where its kubelet still may.
func (s *session) lost(ctx context.Context, pod *corev1.Pod, leaving time.Duration) (reason, why string) {
	switch {
	case s.away(ctx, pod.Spec.NodeName):
		return nodeLost, fmt.Sprintf("node %s does not answer", pod.Spec.NodeName)
	case leaving >= graceOf(pod)+overdue:
		return podOverdue, fmt.Sprintf("it has not ended within %s after its grace period", overdue)
	}
	return "", ""
}

func graceOf(pod *corev1.Pod) time.Duration {
	if seconds := pod.DeletionGracePeriodSeconds; seconds != nil {
		return time.Duration(*seconds) * time.Second
	}
	return 0
}

// away reports whether a node is known not to answer, so that nothing on it will end in order. One that says itself that it is not
// ready does answer. What cannot be found out is no.
func (s *session) away(ctx context.Context, name string) bool {
	if name == "" {
		return false
	}
	node, err := s.Cluster.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return apierrors.IsNotFound(err)
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionUnknown
		}
	}
	return false
}

// drop marks a pod as failed, as Kubernetes' own garbage collector of pods does, and removes it. The condition tells the Job that the
// pod was disrupted: the failure does not count.
func (s *session) drop(ctx context.Context, pod *corev1.Pod, reason, why string) error {
	pods := s.Cluster.Client.CoreV1().Pods(pod.Namespace)
	if !terminal(pod) {
		patch, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"uid": pod.UID},
			"status": map[string]any{
				"phase": corev1.PodFailed, "reason": reason, "message": why,
				"conditions": []corev1.PodCondition{{
					Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reason, Message: why,
					LastTransitionTime: metav1.NewTime(s.Clock.Now()),
				}},
			},
		})
		if err != nil {
			return fmt.Errorf("encode status of pod %s: %w", pod.Name, err)
		}
		_, err = pods.Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("mark pod %s as failed: %w", pod.Name, err)
		}
		s.board.note("ended pod %s by force: %s", pod.Name, why)
		if state := s.pods[pod.UID]; state != nil {
			state.why = lostBy(why)
		}
	}
	err := pods.Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To(int64(0)), Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete pod %s: %w", pod.Name, err)
	}
	return nil
}
