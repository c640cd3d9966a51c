package chaosmesh

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/gameday-bench/gameday/faults"
)

// findOwners remembers the Deployments that the fault is meant for.
func (f *kept) findOwners(ctx context.Context, env faults.Env) error {
	list, err := env.Kubernetes.AppsV1().Deployments(env.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list deployments: %w", err)
	}
	owners := map[string]labels.Selector{}
	for _, d := range list.Items {
		if !labels.SelectorFromSet(f.spec.KeepApplied.Labels).Matches(labels.Set(d.Spec.Template.Labels)) {
			continue
		}
		if owners[d.Name], err = metav1.LabelSelectorAsSelector(d.Spec.Selector); err != nil {
			return fmt.Errorf("read the selector of Deployment %s: %w", d.Name, err)
		}
	}
	f.owners = owners
	return nil
}

// open returns the names of the Deployments whose next pod may be placed on the node and would be affected there, sorted.
func (f *kept) open(ctx context.Context, env faults.Env) ([]string, error) {
	node, err := env.Kubernetes.CoreV1().Nodes().Get(ctx, f.spec.KeepApplied.Node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read node %s: %w", f.spec.KeepApplied.Node, err)
	}
	list, err := env.Kubernetes.AppsV1().Deployments(env.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	var out []string
	for _, d := range list.Items {
		lands, err := mayLand(d, node)
		if err != nil {
			return nil, fmt.Errorf("read the node affinity of Deployment %s: %w", d.Name, err)
		}
		if lands && f.meant(d.Spec.Template.Labels) {
			out = append(out, d.Name)
		}
	}
	slices.SortFunc(out, cmp.Compare)
	return out, nil
}

// mayLand reports whether the scheduler may place a pod of the Deployment on the node: it takes pods, and neither its taints
// nor the pod's node selector and required affinity forbid it.
func mayLand(d appsv1.Deployment, node *corev1.Node) (bool, error) {
	spec := d.Spec.Template.Spec
	if node.Spec.Unschedulable || d.Spec.Replicas != nil && *d.Spec.Replicas == 0 {
		return false, nil
	}
	for i := range node.Spec.Taints {
		taint := &node.Spec.Taints[i]
		if taint.Effect == corev1.TaintEffectPreferNoSchedule {
			continue
		}
		if !slices.ContainsFunc(spec.Tolerations, func(t corev1.Toleration) bool { return tolerates(t, taint) }) {
			return false, nil
		}
	}
	return nodeaffinity.GetRequiredNodeAffinity(&corev1.Pod{Spec: spec}).Match(node)
}

// tolerates is the scheduler's rule without its comparison operators.
func tolerates(t corev1.Toleration, taint *corev1.Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect || t.Key != "" && t.Key != taint.Key {
		return false
	}
	return t.Operator == corev1.TolerationOpExists || t.Key != "" && t.Value == taint.Value
}
