package scaleout

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/readiness"
)

// parallelism is the number of workers: as many as asked for, or one for each node that takes pods, and never more than trials.
func (s *session) parallelism(ctx context.Context, trials int) (int, error) {
	if s.Workers > 0 {
		return min(s.Workers, trials), nil
	}
	count := 0
	err := s.call(ctx, func(ctx context.Context) error {
		var err error
		count, _, err = s.countNodes(ctx)
		return err
	})
	if err != nil {
		return 0, errs.Hint(fmt.Errorf("count nodes: %w", err), "say how many pods there may be at a time: --workers N")
	}
	if count == 0 {
		return 0, errs.Hint(errs.Newf(errs.Infra, "count nodes of %s: none is ready and takes pods", s.Cluster.Context), "see kubectl --context %s get nodes", s.Cluster.Context)
	}
	return min(count, trials), nil
}

// countNodes is how many of all nodes take pods.
func (e *Executor) countNodes(ctx context.Context) (count, all int, err error) {
	nodes, err := e.Cluster.Client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, 0, err
	}
	for _, node := range nodes.Items {
		if takesPods(node) {
			count++
		}
	}
	return count, len(nodes.Items), nil
}

// takesPods reports whether a pod without tolerations can be bound to the node, and run there.
func takesPods(node corev1.Node) bool {
	if node.Spec.Unschedulable || node.Labels[corev1.LabelArchStable] != "" && node.Labels[corev1.LabelArchStable] != arch() {
		return false
	}
	for _, taint := range node.Spec.Taints {
		if taint.Effect != corev1.TaintEffectPreferNoSchedule {
			return false
		}
	}
	return readiness.Node(&node)
}
