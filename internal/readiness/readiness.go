// Package readiness says whether nodes and pods are ready, by their own conditions.
package readiness

import corev1 "k8s.io/api/core/v1"

// Node reports whether a node is Ready. One that nobody has heard of for a while is not: its condition is Unknown.
func Node(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// Pod reports whether a pod is Ready, also where it is on its way out.
func Pod(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
