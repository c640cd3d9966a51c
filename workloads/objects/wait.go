package objects

import (
	"context"
	"errors"
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
const pollInterval = 200 * time.Millisecond

// Ready waits until every Deployment, StatefulSet, DaemonSet and Job of the set is as it should be, or ctx ends; the error
// then says what is not and why.
func (s Set) Ready(ctx context.Context, d dynamic.Interface, k kubernetes.Interface) error {
	var waiting []string
	var last error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		now := []string{}
		for _, u := range s {
			if rank(u.GetKind()) != 2 {
				continue
			}
			live, err := client(d, u).Get(ctx, u.GetName(), metav1.GetOptions{})
			if err != nil {
				last = fmt.Errorf("get %s: %w", Describe(u), err)
				return false, nil
			}
			if why := unready(live); why != "" {
				now = append(now, Describe(live)+": "+why+podTroubles(ctx, k, live))
			}
		}
		if ctx.Err() == nil {
			waiting, last = now, nil
		}
		return len(now) == 0, nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("wait until ready: %w: %s", err, strings.Join(waiting, "; ")), last)
	}
	return nil
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
