package objects

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// pollInterval is how often the API server is asked.
const pollInterval = 100 * time.Millisecond

// explainLimit is how long it may take to say what has not become ready.
const explainLimit = 5 * time.Second

// Ready waits until every Deployment, StatefulSet, DaemonSet and Job of the set is as it should be, or ctx ends; the error
// then says what is not and why.
func (s Set) Ready(ctx context.Context, d dynamic.Interface, k kubernetes.Interface) error {
	workloads := slices.DeleteFunc(slices.Clone(s), func(u *unstructured.Unstructured) bool { return rank(u.GetKind()) != 2 })
	// A server that starts twenty workloads has better things to do than to describe all of them ten times a second: what is asked for
	// is the first that is not ready.
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		for _, u := range workloads {
			live, err := client(d, u).Get(ctx, u.GetName(), metav1.GetOptions{})
			if err != nil || unready(live) != "" {
				return false, nil //nolint:nilerr // It is asked again; explain says what it was in the end.
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("wait until ready: %w: %s", err, workloads.explain(ctx, d, k))
	}
	return nil
}

// explain says of each workload what it lacks and why, although ctx has ended.
func (s Set) explain(ctx context.Context, d dynamic.Interface, k kubernetes.Interface) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), explainLimit)
	defer cancel()
	var out []string
	for _, u := range s {
		live, err := client(d, u).Get(ctx, u.GetName(), metav1.GetOptions{})
		if err != nil {
			out = append(out, fmt.Sprintf("get %s: %v", Describe(u), err))
		} else if why := unready(live); why != "" {
			out = append(out, Describe(live)+": "+why+podTroubles(ctx, k, live))
		}
	}
	return strings.Join(out, "; ")
}

// unready says what a workload lacks, or "".
func unready(u *unstructured.Unstructured) string {
	number := func(fields ...string) int64 {
		n, _, _ := unstructured.NestedInt64(u.Object, fields...)
		return n
	}
	if u.GetKind() != "Job" && number("status", "observedGeneration") < u.GetGeneration() {
		return "not observed yet"
	}
	want, found, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
	if !found {
		want = 1
	}
	have := int64(0)
	switch u.GetKind() {
	case "Deployment", "StatefulSet":
		have = min(number("status", "availableReplicas"), number("status", "updatedReplicas"))
	case "DaemonSet":
		want, have = number("status", "desiredNumberScheduled"), number("status", "numberAvailable")
	case "Job":
		want, have = 1, number("status", "succeeded")
	default:
		return ""
	}
	if have < want {
		return fmt.Sprintf("%d/%d available", have, want)
	}
	return ""
}

// podTroubles says what is wrong with the pods of a workload.
func podTroubles(ctx context.Context, k kubernetes.Interface, u *unstructured.Unstructured) string {
	selector, found, _ := unstructured.NestedStringMap(u.Object, "spec", "selector", "matchLabels")
	if !found {
		return ""
	}
	pods, err := k.CoreV1().Pods(u.GetNamespace()).List(ctx, metav1.ListOptions{
		LabelSelector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: selector}),
	})
	if err != nil {
		return ""
	}
	var out []string
	for _, p := range pods.Items {
		if why := podTrouble(p); why != "" {
			out = append(out, fmt.Sprintf("pod %s: %s", p.Name, why))
		}
	}
	slices.Sort(out)
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}

func podTrouble(p corev1.Pod) string {
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if w := c.State.Waiting; w != nil && w.Reason != "" {
			return strings.TrimSpace(w.Reason + " " + w.Message)
		}
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			return fmt.Sprintf("%s exited with %d", c.Name, t.ExitCode)
		}
	}
	for _, c := range p.Status.Conditions {
		if (c.Type == corev1.PodReady || c.Type == corev1.PodScheduled) && c.Status != corev1.ConditionTrue {
			return strings.TrimSpace(string(p.Status.Phase) + ", " + c.Reason + " " + c.Message)
		}
	}
	return ""
}

// awaitGone waits until none of the objects exists, or ctx ends; the error then names them.
func (s Set) awaitGone(ctx context.Context, d dynamic.Interface) error {
	var left []string
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		now := []string{}
		for _, u := range s {
			if _, err := client(d, u).Get(ctx, u.GetName(), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				now = append(now, Describe(u))
			}
		}
		if ctx.Err() == nil {
			left = now
		}
		return len(now) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("wait until gone: %w: %s", err, strings.Join(left, ", "))
	}
	return nil
}
