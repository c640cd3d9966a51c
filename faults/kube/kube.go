// Package kube holds faults that are edits of Kubernetes objects: an object is changed by a patch, and the fault is live
// while a field of it has the wrong value.
package kube

import (
	"context"
	"encoding/json"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/faults"
)

// Spec is the spec of a fault.yaml of type kube. Exactly one of Patch, Merge and Strategic is set.
type Spec struct {
	Target Target `yaml:"target" check:"required"`
	// Patch is a JSON Patch (RFC 6902).
	Patch []map[string]any `yaml:"patch,omitempty"`
	// Merge is a JSON Merge Patch (RFC 7396).
	Merge map[string]any `yaml:"merge,omitempty"`
	// Strategic is a strategic merge patch, which merges lists by their keys.
	Strategic map[string]any `yaml:"strategic,omitempty"`
	// Live is the predicate: the fault is live while it holds.
	Live Predicate `yaml:"live" check:"required"`
}

// Keys of faults.Env.State.
const (
	stateOriginal = "original" // the object before the change, as JSON
	stateUndo     = "undo"     // the merge patch that takes the change back
)

// fieldManager is what managedFields show: somebody has edited the object.
const fieldManager = "kubectl-edit"

type fault struct {
	spec  Spec
	kind  types.PatchType
	patch []byte
}

var _ faults.Fault = (*fault)(nil)

// New is the constructor of type kube.
func New(s faults.Spec) (faults.Fault, error) {
	f := &fault{}
	if err := s.Decode(&f.spec); err != nil {
		return nil, err
	}
	var body any
	set := 0
	if f.spec.Patch != nil {
		f.kind, body, set = types.JSONPatchType, f.spec.Patch, set+1
	}
	if f.spec.Merge != nil {
		f.kind, body, set = types.MergePatchType, f.spec.Merge, set+1
	}
	if f.spec.Strategic != nil {
		f.kind, body, set = types.StrategicMergePatchType, f.spec.Strategic, set+1
	}
	if set != 1 {
		return nil, s.Fail("patch", "want exactly one of patch, merge and strategic")
	}
	var err error
	if f.patch, err = json.Marshal(body); err != nil {
		return nil, s.Fail("patch", "%v", err)
	}
	if f.spec.Patch != nil {
		if _, err := jsonpatch.DecodePatch(f.patch); err != nil {
			return nil, s.Fail("patch", "%v", err)
		}
	}
	return f, f.spec.Live.check(s)
}

// Inject patches the object and remembers how it was.
func (f *fault) Inject(ctx context.Context, env faults.Env) error {
	client := f.spec.Target.client(env)
	if env.State[stateOriginal] == "" {
		original, err := client.Get(ctx, f.spec.Target.Name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("read %s: %w", f.spec.Target, err)
		}
		data, err := json.Marshal(declared(original))
		if err != nil {
			return fmt.Errorf("remember %s: %w", f.spec.Target, err)
		}
		env.State[stateOriginal] = string(data)
	}
	patched, err := client.Patch(ctx, f.spec.Target.Name, f.kind, f.patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("patch %s: %w", f.spec.Target, err)
	}
	data, err := json.Marshal(declared(patched))
	if err != nil {
		return fmt.Errorf("compare %s: %w", f.spec.Target, err)
	}
	undo, err := jsonpatch.CreateMergePatch(data, []byte(env.State[stateOriginal]))
	if err != nil {
		return fmt.Errorf("compare %s: %w", f.spec.Target, err)
	}
	env.State[stateUndo] = string(undo)
	return nil
}

// Probe reads the field. An object that is gone does not have the wrong value.
func (f *fault) Probe(ctx context.Context, env faults.Env) (faults.State, error) {
	object, err := f.spec.Target.client(env).Get(ctx, f.spec.Target.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return faults.State{Detail: fmt.Sprintf("%s does not exist", f.spec.Target)}, nil
	}
	if err != nil {
		return faults.State{}, fmt.Errorf("read %s: %w", f.spec.Target, err)
	}
	live, value, err := f.spec.Live.holds(object.Object)
	if err != nil {
		return faults.State{}, fmt.Errorf("read %s: %w", f.spec.Target, err)
	}
	return faults.State{Live: live, Detail: fmt.Sprintf("%s %s is %s", f.spec.Target, f.spec.Live.Path, value)}, nil
}

// Recover gives what was changed its old value, and makes the object again where it is gone.
func (f *fault) Recover(ctx context.Context, env faults.Env) error {
	if env.State[stateOriginal] == "" {
		return nil
	}
	client := f.spec.Target.client(env)
	undo := env.State[stateUndo]
	if undo == "" {
		undo = "{}" // the patch was refused, so nothing has changed
	}
	_, err := client.Patch(ctx, f.spec.Target.Name, types.MergePatchType, []byte(undo), metav1.PatchOptions{FieldManager: fieldManager})
	if apierrors.IsNotFound(err) {
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(env.State[stateOriginal]), &object.Object); err != nil {
			return fmt.Errorf("read the remembered %s: %w", f.spec.Target, err)
		}
		if _, err := client.Create(ctx, object, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("make %s again: %w", f.spec.Target, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", f.spec.Target, err)
	}
	return nil
}

// declared returns what somebody has declared of an object: without status and what the API server fills in.
func declared(object *unstructured.Unstructured) map[string]any {
	out := object.DeepCopy()
	delete(out.Object, "status")
	if meta, ok := out.Object["metadata"].(map[string]any); ok {
		for _, field := range []string{"resourceVersion", "generation", "uid", "creationTimestamp", "managedFields", "selfLink"} {
			delete(meta, field)
		}
	}
	return out.Object
}
