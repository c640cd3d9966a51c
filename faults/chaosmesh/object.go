package chaosmesh

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	"github.com/gameday-bench/gameday/faults"
)

const (
	// setLabel is on every object of one fault, so that they are found again whatever has happened.
	setLabel = "gameday.dev/set"
	// forceRecovery is Chaos Mesh's own way to let go of an object that it cannot recover.
	forceRecovery = `{"metadata":{"annotations":{"chaos-mesh.chaos-mesh.org/cleanFinalizer":"forced"}}}`

	pollEvery     = 100 * time.Millisecond
	injectTimeout = 60 * time.Second
	// recoverPatience is how long Chaos Mesh has to recover by itself before it is forced.
	recoverPatience = 20 * time.Second
	recoverTimeout  = 40 * time.Second
)

// objects are the objects of one kind in the namespace for chaos.
func objects(env faults.Env, kind string) dynamic.ResourceInterface {
	resource := v1alpha1.SchemeGroupVersion.WithResource(strings.ToLower(kind))
	return env.Dynamic.Resource(resource).Namespace(env.ChaosNamespace)
}

// create makes an object; one that exists is the same, since its name is a digest of what it does.
func create(ctx context.Context, env faults.Env, kind, name, set string, spec map[string]any) error {
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": kind,
		"metadata": map[string]any{
			"name": name, "namespace": env.ChaosNamespace, "labels": map[string]any{setLabel: set},
		},
		"spec": runtime.DeepCopyJSON(normal(spec).(map[string]any)),
	}}
	if _, err := objects(env, kind).Create(ctx, object, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create %s %s: %w", kind, name, err)
	}
	return nil
}

// normal turns what YAML decodes into what JSON objects may hold.
func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = normal(value)
		}
		return out
	case map[string]string:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = value
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = normal(value)
		}
		return out
	case int:
		return int64(v)
	}
	return v
}

// status reads how far Chaos Mesh is with an object. A nil status means that the object is gone.
func status(ctx context.Context, env faults.Env, kind, name string) (*v1alpha1.ChaosStatus, error) {
	object, err := objects(env, kind).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", kind, name, err)
	}
	return statusOf(object)
}

func statusOf(object *unstructured.Unstructured) (*v1alpha1.ChaosStatus, error) {
	out := &v1alpha1.ChaosStatus{}
	if raw, ok := object.Object["status"].(map[string]any); ok {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, out); err != nil {
			return nil, fmt.Errorf("read status of %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return out, nil
}

func holds(s *v1alpha1.ChaosStatus, condition v1alpha1.ChaosConditionType) bool {
	if s == nil {
		return false
	}
	for _, c := range s.Conditions {
		if c.Type == condition {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// progress describes a status for an error.
func progress(s *v1alpha1.ChaosStatus) string {
	if s == nil {
		return "the object is gone"
	}
	var out []string
	for _, c := range s.Conditions {
		out = append(out, fmt.Sprintf("%s=%s", c.Type, c.Status))
	}
	for _, r := range s.Experiment.Records {
		out = append(out, r.Id+": "+string(r.Phase))
		if n := len(r.Events); n > 0 && r.Events[n-1].Message != "" {
			out = append(out, r.Events[n-1].Message)
		}
	}
	return strings.Join(out, ", ")
}

// awaitInjected waits until everything that an object selected is injected.
func awaitInjected(ctx context.Context, env faults.Env, kind, name string) error {
	var last *v1alpha1.ChaosStatus
	err := wait.PollUntilContextTimeout(ctx, pollEvery, injectTimeout, true, func(ctx context.Context) (bool, error) {
		s, err := status(ctx, env, kind, name)
		if err != nil {
			return false, err
		}
		last = s
		return holds(s, v1alpha1.ConditionSelected) && holds(s, v1alpha1.ConditionAllInjected), nil
	})
	if err != nil {
		return hintKernel(fmt.Errorf("wait until %s %s is injected (%s): %w", kind, name, progress(last), err))
	}
	return nil
}

// remove deletes the objects of a set and waits until Chaos Mesh has recovered what they did.
func remove(ctx context.Context, env faults.Env, kind, set string) error {
	client := objects(env, kind)
	started := env.Clock.Now()
	forced := map[string]bool{}
	left := ""
	err := wait.PollUntilContextTimeout(ctx, pollEvery, recoverTimeout, true, func(ctx context.Context) (bool, error) {
		list, err := client.List(ctx, metav1.ListOptions{LabelSelector: setLabel + "=" + set})
		if err != nil {
			return false, fmt.Errorf("list: %w", err)
		}
		left = ""
		for _, object := range list.Items {
			left = object.GetName()
			if object.GetDeletionTimestamp() == nil {
				if err := client.Delete(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
					return false, fmt.Errorf("delete %s: %w", object.GetName(), err)
				}
			}
			if env.Clock.Since(started) < recoverPatience || forced[object.GetName()] {
				continue
			}
			env.Log.WarnContext(ctx, "chaos object does not recover, forcing it", "kind", kind, "name", object.GetName())
			_, err := client.Patch(ctx, object.GetName(), types.MergePatchType, []byte(forceRecovery), metav1.PatchOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return false, fmt.Errorf("force %s: %w", object.GetName(), err)
			}
			forced[object.GetName()] = true
		}
		return len(list.Items) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("recover %s objects of set %s (left: %s): %w", kind, set, left, err)
	}
	return nil
}
