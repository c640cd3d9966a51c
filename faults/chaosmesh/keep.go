package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/gameday-bench/gameday/faults"
)

// retryAfter is the pause before an object that could not be made or deleted is tried again.
const retryAfter = time.Second

// loop keeps the fault applied until ctx ends.
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
