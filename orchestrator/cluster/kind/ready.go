package kind

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/readiness"
)

const (
	// readyLimit bounds the wait for a cluster that kind has set up.
	readyLimit = 3 * time.Minute
	readyCheck = 250 * time.Millisecond
	// defaultClass marks the storage class of claims that name none.
	defaultClass = "storageclass.kubernetes.io/is-default-class"
)

// until polls condition until it holds. missing is what the last look found missing; it becomes the error when ctx ends or limit is over.
func until(ctx context.Context, c clock.WithTicker, limit time.Duration, condition func(context.Context) (missing string, err error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	deadline := c.NewTimer(limit)
	defer deadline.Stop()
	tick := c.NewTicker(readyCheck)
	defer tick.Stop()
	last := "nothing answered"
	for {
		missing, err := condition(ctx)
		switch {
		case err == nil && missing == "":
			return nil
		case err == nil:
			last = missing
		case ctx.Err() == nil: // Else the look was cut short: what the one before it found is the better reason.
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), last)
		case <-deadline.C():
			return fmt.Errorf("not ready after %s: %s", limit, last)
		case <-tick.C():
		}
	}
}

// waitReady waits until the cluster can be used. kind's own wait looks at the control plane only, and calls it a success when its time is up.
func waitReady(ctx context.Context, kube kubernetes.Interface, nodes []node, c clock.WithTicker) error {
	err := until(ctx, c, readyLimit, func(ctx context.Context) (string, error) { return unready(ctx, kube, nodes) })
	if err != nil {
		return fmt.Errorf("wait for the cluster: %w", err)
	}
	return nil
}

// unready says what the cluster lacks, or "".
func unready(ctx context.Context, kube kubernetes.Interface, want []node) (string, error) {
	list, err := kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("the API server does not list nodes: %w", err)
	}
	have := map[string]*corev1.Node{}
	for i := range list.Items {
		have[list.Items[i].Name] = &list.Items[i]
	}
	for _, n := range want {
		switch live := have[n.name]; {
		case live == nil:
			return fmt.Sprintf("node %s (container %s) has not joined", n.name, n.container), nil
		case !readiness.Node(live):
			return fmt.Sprintf("node %s is not Ready: %s", n.name, whyNot(live)), nil
		}
	}
	if missing, err := noDNS(ctx, kube); missing != "" || err != nil {
		return missing, err
	}
	return noStorage(ctx, kube)
}

// whyNot is what a node says about not being ready.
func whyNot(n *corev1.Node) string {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Message != "" {
			return c.Message
		}
	}
	return "its kubelet has not said anything"
}

// noDNS says what keeps names from being served.
func noDNS(ctx context.Context, kube kubernetes.Interface) (string, error) {
	list, err := kube.AppsV1().Deployments(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: "k8s-app=kube-dns"})
	if err != nil {
		return "", fmt.Errorf("the API server does not list deployments: %w", err)
	}
	if len(list.Items) == 0 {
		return "there is no CoreDNS", nil
	}
	for i := range list.Items {
		if d := &list.Items[i]; !available(d) {
			return fmt.Sprintf("CoreDNS has %d replicas available", d.Status.AvailableReplicas), nil
		}
	}
	return "", nil
}

func available(d *appsv1.Deployment) bool {
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	return d.Status.ObservedGeneration >= d.Generation && d.Status.AvailableReplicas >= want
}

// noStorage says whether claims that name no class get a volume.
func noStorage(ctx context.Context, kube kubernetes.Interface) (string, error) {
	list, err := kube.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("the API server does not list storage classes: %w", err)
	}
	for i := range list.Items {
		if strings.EqualFold(list.Items[i].Annotations[defaultClass], "true") {
			return "", nil
		}
	}
	return "there is no default StorageClass", nil
}
