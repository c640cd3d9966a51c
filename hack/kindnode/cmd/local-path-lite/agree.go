package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// open returns the names of the nodes that take pods now: ready, and without a taint that keeps pods away.
func open(ctx context.Context, client kubernetes.Interface) ([]string, error) {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	var out []string
	for _, n := range list.Items {
		ready := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
		closed := n.Spec.Unschedulable || slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
			return t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute
		})
		if ready && !closed {
			out = append(out, n.Name)
		}
	}
	return out, nil
}

// agreed is the node for a claim that is bound at once, before any pod uses it. Every node's provisioner comes to the same answer by itself, as long
// as they see the same nodes; it is "" where there are none. Claims are spread over the nodes.
func agreed(claim types.UID, nodes []string) string {
	best, most := "", uint64(0)
	for _, node := range slices.Sorted(slices.Values(nodes)) {
		hash := fnv.New64a()
		fmt.Fprintf(hash, "%s/%s", claim, node)
		if sum := hash.Sum64(); best == "" || sum > most {
			best, most = node, sum
		}
	}
	return best
}
