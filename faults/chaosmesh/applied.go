package chaosmesh

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/faults"
)

// applied is a fault of one object, which selects its targets once.
type applied struct {
	spec Spec
	id   string
}

var (
	_ faults.Fault     = (*applied)(nil)
	_ faults.Demanding = (*applied)(nil)
)

// Requires implements faults.Demanding.
func (f *applied) Requires() []string { return f.spec.requires() }

func (f *applied) name() string { return "n-" + f.id }

// Inject creates the object and waits until Chaos Mesh reports it injected.
func (f *applied) Inject(ctx context.Context, env faults.Env) error {
	if err := create(ctx, env, f.spec.Kind, f.name(), f.id, f.spec.Spec); err != nil {
		return err
	}
	return awaitInjected(ctx, env, f.spec.Kind, f.name())
}

// Probe reports a fault that is injected and whose targets still run: a pod that was replaced is not affected any more.
func (f *applied) Probe(ctx context.Context, env faults.Env) (faults.State, error) {
	s, err := status(ctx, env, f.spec.Kind, f.name())
	if err != nil {
		return faults.State{}, err
	}
	if !holds(s, v1alpha1.ConditionAllInjected) {
		return faults.State{Detail: fmt.Sprintf("%s is not injected: %s", f.spec.Kind, progress(s))}, nil
	}
	var affected []string
	for _, record := range s.Experiment.Records {
		if record.SelectorKey != "." || record.Phase != v1alpha1.Injected {
			continue
		}
		namespace, rest, _ := strings.Cut(record.Id, "/")
		pod, _, _ := strings.Cut(rest, "/") // a container's id follows
		p, err := env.Kubernetes.CoreV1().Pods(namespace).Get(ctx, pod, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return faults.State{}, fmt.Errorf("read pod %s/%s: %w", namespace, pod, err)
		}
		if err == nil && p.DeletionTimestamp == nil {
			affected = append(affected, pod)
		}
	}
	if len(affected) == 0 {
		return faults.State{Detail: fmt.Sprintf("no pod that %s was injected into runs any more", f.spec.Kind)}, nil
	}
	slices.Sort(affected)
	return faults.State{Live: true, Detail: fmt.Sprintf("%s is injected into %s", f.spec.Kind, strings.Join(slices.Compact(affected), ", "))}, nil
}

// Recover deletes the object and waits until Chaos Mesh has recovered it.
func (f *applied) Recover(ctx context.Context, env faults.Env) error {
	return remove(ctx, env, f.spec.Kind, f.id)
}
