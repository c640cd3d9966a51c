package faults

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/readiness"
)

// ReadRuntime reads runtime values from the live system: what is only known once the application runs. It is called after
// the baseline gate and before the injection; the values join the draw, so they are recorded with the trial and fill in the
// truth. values maps a name to one of these expressions:
//
//	nodeOf Deployment/<name>   the node of the first ready pod of a Deployment in env.Namespace, by name
//	podOf Deployment/<name>    that pod's name
//
// The error, of party infra, says which expression cannot be read.
func ReadRuntime(ctx context.Context, env Env, values map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value, err := readRuntime(ctx, env, values[name])
		if err != nil {
			return nil, errs.With(errs.Infra, fmt.Errorf("read runtime value %s (%s): %w", name, values[name], err))
		}
		out[name] = value
	}
	return out, nil
}

func readRuntime(ctx context.Context, env Env, expression string) (string, error) {
	function, object, _ := strings.Cut(expression, " ")
	kind, name, _ := strings.Cut(strings.TrimSpace(object), "/")
	if kind != "Deployment" || name == "" || function != "nodeOf" && function != "podOf" {
		return "", errs.Newf(errs.Usage, "want nodeOf or podOf and Deployment/<name>")
	}
	pods, err := readyPods(ctx, env, name)
	if err != nil {
		return "", err
	}
	if len(pods) == 0 {
		return "", fmt.Errorf("no ready pod")
	}
	if function == "podOf" {
		return pods[0].Name, nil
	}
	return pods[0].Spec.NodeName, nil
}

// readyPods returns the ready pods of a Deployment, sorted by name.
func readyPods(ctx context.Context, env Env, deployment string) ([]corev1.Pod, error) {
	d, err := env.Kubernetes.AppsV1().Deployments(env.Namespace).Get(ctx, deployment, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	list, err := env.Kubernetes.CoreV1().Pods(env.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)})
	if err != nil {
		return nil, err
	}
	pods := slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil || !readiness.Pod(&p) })
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return pods, nil
}
