package orchestrator

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// unavailable says which workload of the deployed components lacks replicas, or "".
func (e *environment) unavailable(ctx context.Context) (string, error) {
	for _, ns := range e.namespaces() {
		deployments, err := e.kubernetes.AppsV1().Deployments(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return "", fmt.Errorf("list deployments: %w", err)
		}
		for _, d := range deployments.Items {
			if reason := lacks("Deployment", ns, d.Name, d.Spec.Replicas, d.Status.AvailableReplicas, d.Status.UpdatedReplicas,
				d.Generation, d.Status.ObservedGeneration); reason != "" {
				return reason, nil
			}
		}
		sets, err := e.kubernetes.AppsV1().StatefulSets(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return "", fmt.Errorf("list stateful sets: %w", err)
		}
		for _, s := range sets.Items {
			if reason := lacks("StatefulSet", ns, s.Name, s.Spec.Replicas, s.Status.AvailableReplicas, s.Status.UpdatedReplicas,
				s.Generation, s.Status.ObservedGeneration); reason != "" {
				return reason, nil
			}
		}
	}
	return "", nil
}

func lacks(kind, ns, name string, want *int32, available, updated int32, generation, observed int64) string {
	replicas := int32(1)
	if want != nil {
		replicas = *want
	}
	if observed < generation {
		return fmt.Sprintf("%s %s/%s has a change that its controller has not seen", kind, ns, name)
	}
	if available < replicas || updated < replicas {
		return fmt.Sprintf("%s %s/%s has %d of %d replicas available, %d up to date", kind, ns, name, available, replicas, updated)
	}
	return ""
}
