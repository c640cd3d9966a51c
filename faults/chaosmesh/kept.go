package chaosmesh

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/gameday-bench/gameday/faults"
)

// kept is a fault that belongs to a node: whatever pod of the application runs there is affected, also one that lands there
// later, and a pod that leaves is not. Chaos Mesh selects its targets once per object, so there is one object per pod, and a
// loop that makes and deletes objects as pods come and go.
//
// The fault is live for the application while a pod that the node affects runs there, or may be placed there: taking the node
// out of service and moving the pods is the repair; moving them while the node still takes the next one is not.
type kept struct {
	spec Spec
	id   string

	// owners are the selectors of the Deployments whose pods the node affects, by name, as they were at the injection: a label
	// that is taken off a pod does not make its network any better.
	owners map[string]labels.Selector

	mu   sync.Mutex
	stop context.CancelFunc // nil while the loop is not running
	done chan struct{}
}

var (
	_ faults.Fault     = (*kept)(nil)
	_ faults.Demanding = (*kept)(nil)
)

// Requires implements faults.Demanding.
func (f *kept) Requires() []string { return f.spec.requires() }

// Inject starts the loop and waits until every pod that is on the node now is affected. The loop runs until Recover.
func (f *kept) Inject(ctx context.Context, env faults.Env) error {
	if !f.running() { // Once: by now labels may have been changed, and the loop reads what was found.
		if err := f.findOwners(ctx, env); err != nil {
			return err
		}
	}
	f.start(ctx, env)
	var missing []string
	err := wait.PollUntilContextTimeout(ctx, pollEvery, injectTimeout, true, func(ctx context.Context) (bool, error) {
		pods, err := f.pods(ctx, env)
		if err != nil {
			return false, err
		}
		affected, err := f.affected(ctx, env)
		if err != nil {
			return false, err
		}
		missing = missing[:0]
		for _, pod := range pods {
			if reachable(pod) && !affected[pod.Name] {
				missing = append(missing, pod.Name)
			}
		}
		return len(missing) == 0 && len(affected) > 0, nil
	})
	if err == nil {
		return nil
	}
	seen := "missing: " + strings.Join(missing, ", ")
	if words := said(ctx, env, f.spec.Kind, f.id); words != "" {
		seen += "; Chaos Mesh says: " + words
	}
	return hintKernel(fmt.Errorf("wait until the pods on node %s are affected (%s): %w", f.spec.KeepApplied.Node, seen, err))
}

// Probe reports whether a pod of the application is under the fault now, or would be: it is on the node, or may be placed
// there, while the fault is kept applied.
func (f *kept) Probe(ctx context.Context, env faults.Env) (faults.State, error) {
	pods, err := f.pods(ctx, env)
	if err != nil {
		return faults.State{}, err
	}
	affected, err := f.affected(ctx, env)
	if err != nil {
		return faults.State{}, err
	}
	var under, landed []string
	for _, pod := range pods {
		if affected[pod.Name] {
			under = append(under, pod.Name)
		} else {
			landed = append(landed, pod.Name)
		}
	}
	node := f.spec.KeepApplied.Node
	switch {
	case len(under) > 0:
		return faults.State{Live: true, Detail: fmt.Sprintf("node %s affects %s", node, strings.Join(under, ", "))}, nil
	case !f.running():
		return faults.State{Detail: fmt.Sprintf("node %s affects no pod", node)}, nil
	case len(landed) > 0:
		return faults.State{Live: true, Detail: fmt.Sprintf("node %s is about to affect %s", node, strings.Join(landed, ", "))}, nil
	}
	open, err := f.open(ctx, env)
	if err != nil {
		return faults.State{}, err
	}
	if len(open) > 0 {
		return faults.State{Live: true, Detail: fmt.Sprintf("node %s affects no pod now, but still takes the next one of %s", node, strings.Join(open, ", "))}, nil
	}
	return faults.State{Detail: fmt.Sprintf("no pod of the application that node %s would affect runs there or may be placed there", node)}, nil
}

// Recover ends the loop and removes every object that it made, also those of an earlier process.
func (f *kept) Recover(ctx context.Context, env faults.Env) error {
	f.mu.Lock()
	stop, done := f.stop, f.done
	f.stop = nil
	f.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
	return remove(ctx, env, f.spec.Kind, f.id)
}

func (f *kept) running() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stop != nil
}

// start starts the loop, unless it runs. It outlives the call, and with it ctx's deadline.
func (f *kept) start(ctx context.Context, env faults.Env) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stop != nil {
		return
	}
	ctx, f.stop = context.WithCancel(context.WithoutCancel(ctx))
	f.done = make(chan struct{})
	go f.loop(ctx, env, f.done)
}

// covers reports whether a pod of the application's namespace is one that the node affects.
func (f *kept) covers(pod corev1.Pod) bool {
	return pod.Spec.NodeName == f.spec.KeepApplied.Node && pod.DeletionTimestamp == nil && !pod.Spec.HostNetwork &&
		pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed && f.meant(pod.Labels)
}

// meant reports whether the node affects pods with these labels.
func (f *kept) meant(pod map[string]string) bool {
	for _, selector := range f.owners {
		if selector.Matches(labels.Set(pod)) {
			return true
		}
	}
	return labels.SelectorFromSet(f.spec.KeepApplied.Labels).Matches(labels.Set(pod))
}

// reachable reports whether a pod has an address and a container, without which Chaos Mesh can do nothing with it.
func reachable(pod corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning && pod.Status.PodIP != "" &&
		slices.ContainsFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.ContainerID != "" })
}

// pods returns the pods that the node affects or is about to, sorted by name.
func (f *kept) pods(ctx context.Context, env faults.Env) ([]corev1.Pod, error) {
	list, err := env.Kubernetes.CoreV1().Pods(env.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	pods := slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return !f.covers(p) })
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	return pods, nil
}

// affected returns the names of the pods into which Chaos Mesh reports the fault injected.
func (f *kept) affected(ctx context.Context, env faults.Env) (map[string]bool, error) {
	list, err := objects(env, f.spec.Kind).List(ctx, metav1.ListOptions{LabelSelector: setLabel + "=" + f.id})
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", err)
	}
	out := map[string]bool{}
	for i := range list.Items {
		s, err := statusOf(&list.Items[i])
		if err != nil {
			return nil, err
		}
		if !holds(s, v1alpha1.ConditionAllInjected) {
			continue
		}
		for _, record := range s.Experiment.Records {
			if record.SelectorKey == "." && record.Phase == v1alpha1.Injected {
				_, rest, _ := strings.Cut(record.Id, "/")
				pod, _, _ := strings.Cut(rest, "/")
				out[pod] = true
			}
		}
	}
	return out, nil
}
