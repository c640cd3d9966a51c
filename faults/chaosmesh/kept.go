package chaosmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/gameday-bench/gameday/faults"
)

// kept is a fault that belongs to a node: whatever pod of the application runs there is affected, also one that lands there
// later, and a pod that leaves is not. Chaos Mesh selects its targets once per object, so there is one object per pod, and a
// loop that makes and deletes objects as pods come and go. So moving pods away from the node repairs the application, and
// deleting a pod that comes back on the same node does not.
type kept struct {
	spec Spec
	id   string

	mu   sync.Mutex
	stop context.CancelFunc // nil while the loop is not running
	done chan struct{}
}

var _ faults.Fault = (*kept)(nil)

// retryAfter is the pause before an object that could not be made or deleted is tried again.
const retryAfter = time.Second

// Inject starts the loop and waits until every pod that is on the node now is affected. The loop runs until Recover.
func (f *kept) Inject(ctx context.Context, env faults.Env) error {
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
	if err != nil {
		return fmt.Errorf("wait until the pods on node %s are affected (missing: %s): %w", f.spec.KeepApplied.Node, strings.Join(missing, ", "), err)
	}
	return nil
}

// Probe reports whether a pod of the application is under the fault now, or about to be: it is on the node, and the fault is
// still kept applied.
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
	case len(landed) > 0 && f.running():
		return faults.State{Live: true, Detail: fmt.Sprintf("node %s is about to affect %s", node, strings.Join(landed, ", "))}, nil
	case len(landed) > 0:
		return faults.State{Detail: fmt.Sprintf("node %s affects no pod", node)}, nil
	}
	return faults.State{Detail: fmt.Sprintf("no pod of the application that node %s would affect runs there", node)}, nil
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

func (f *kept) loop(ctx context.Context, env faults.Env, done chan<- struct{}) {
	defer close(done)
	factory := informers.NewSharedInformerFactory(env.Kubernetes, 0)
	defer factory.Shutdown()
	changed := make(chan struct{}, 1)
	notify := func(any) {
		select {
		case changed <- struct{}{}:
		default: // the loop knows already
		}
	}
	// The store's pods may be in another namespace than the application's, so all pods are watched.
	pods := factory.Core().V1().Pods().Informer()
	if _, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: notify, UpdateFunc: func(_, _ any) { notify(nil) }, DeleteFunc: notify,
	}); err != nil {
		env.Log.ErrorContext(ctx, "watch pods", "error", err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before the factory's shutdown, which waits
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), pods.HasSynced) {
		return
	}
	for {
		again := time.Duration(0)
		if err := f.reconcile(ctx, env, pods.GetStore()); err != nil && ctx.Err() == nil {
			env.Log.WarnContext(ctx, "keep a node's fault applied", "error", err)
			again = retryAfter
		}
		if !pause(ctx, env, changed, again) {
			return
		}
	}
}

// pause waits for a change, or for again where that is not 0. It is false when ctx has ended.
func pause(ctx context.Context, env faults.Env, changed <-chan struct{}, again time.Duration) bool {
	var retry <-chan time.Time
	if again > 0 {
		timer := env.Clock.NewTimer(again)
		defer timer.Stop()
		retry = timer.C()
	}
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	case <-retry:
	}
	return ctx.Err() == nil
}

// reconcile makes an object for each pod on the node that has none and deletes those of pods that are gone.
func (f *kept) reconcile(ctx context.Context, env faults.Env, store cache.Store) error {
	var all []corev1.Pod
	for _, item := range store.List() {
		if pod, ok := item.(*corev1.Pod); ok {
			all = append(all, *pod)
		}
	}
	targets := f.targets(all)
	want := map[string]corev1.Pod{}
	for _, pod := range all {
		if pod.Namespace == env.Namespace && f.covers(pod) && reachable(pod) {
			want["n-"+digest([]byte(f.id), []byte(pod.UID), []byte(targets))] = pod
		}
	}
	client := objects(env, f.spec.Kind)
	list, err := client.List(ctx, metav1.ListOptions{LabelSelector: setLabel + "=" + f.id})
	if err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	var errs []error
	have := map[string]bool{}
	for _, object := range list.Items {
		have[object.GetName()] = true
		if _, ok := want[object.GetName()]; ok || object.GetDeletionTimestamp() != nil {
			continue
		}
		if err := client.Delete(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete object %s: %w", object.GetName(), err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have[name] {
			continue
		}
		pod := want[name]
		spec := maps.Clone(f.spec.Spec)
		spec["mode"] = "all"
		spec["selector"] = map[string]any{"pods": map[string]any{pod.Namespace: []any{pod.Name}}}
		errs = append(errs, create(ctx, env, f.spec.Kind, name, f.id, spec))
	}
	return errors.Join(errs...)
}

// targets identifies the pods that the spec's target selects now: Chaos Mesh looks up their addresses only once, so an object
// is replaced when they change.
func (f *kept) targets(all []corev1.Pod) string {
	target, ok := f.spec.Spec["target"].(map[string]any)
	if !ok {
		return ""
	}
	selector, _ := target["selector"].(map[string]any)
	namespaces, _ := selector["namespaces"].([]any)
	wanted := labels.Set{}
	if m, ok := selector["labelSelectors"].(map[string]any); ok {
		for key, value := range m {
			wanted[key] = fmt.Sprint(value)
		}
	}
	var ids []string
	for _, pod := range all {
		if reachable(pod) && slices.Contains(namespaces, any(pod.Namespace)) && labels.SelectorFromSet(wanted).Matches(labels.Set(pod.Labels)) {
			ids = append(ids, string(pod.UID))
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, ",")
}

// covers reports whether a pod of the application's namespace is one that the node affects.
func (f *kept) covers(pod corev1.Pod) bool {
	return pod.Spec.NodeName == f.spec.KeepApplied.Node && pod.DeletionTimestamp == nil && !pod.Spec.HostNetwork &&
		pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed &&
		labels.SelectorFromSet(f.spec.KeepApplied.Labels).Matches(labels.Set(pod.Labels))
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
