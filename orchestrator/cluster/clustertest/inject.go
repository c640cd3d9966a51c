package clustertest

import (
	"context"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
)

// Inject creates an object of Chaos Mesh, in the rig's namespace where it names none, and waits until all of it is injected. undo
// deletes it and waits until it is gone, which it is when Chaos Mesh has recovered it. It is called at the end of the test, too,
// and the second call does nothing.
func (r *Rig) Inject(object *unstructured.Unstructured) (undo func()) {
	r.T.Helper()
	t, begin := r.T, time.Now()
	client := r.Client(object)
	_, err := client.Create(t.Context(), object, metav1.CreateOptions{})
	require.NoError(t, err, "create %s %s", object.GetKind(), object.GetName())
	undo = func() {
		begin := time.Now()
		err := client.Delete(context.Background(), object.GetName(), metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return
		}
		require.NoError(t, err)
		require.NoError(t, finally("recovered", func(ctx context.Context) (bool, string) {
			now, err := client.Get(ctx, object.GetName(), metav1.GetOptions{})
			return apierrors.IsNotFound(err), fmt.Sprint(now)
		}))
		t.Logf("%s %s recovered in %s", object.GetKind(), object.GetName(), time.Since(begin).Round(time.Millisecond))
	}
	t.Cleanup(undo)
	r.Eventually("injected", func() (bool, string) {
		now, err := client.Get(t.Context(), object.GetName(), metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		return injected(now)
	})
	t.Logf("%s %s injected in %s", object.GetKind(), object.GetName(), time.Since(begin).Round(time.Millisecond))
	return undo
}

// injected reports whether Chaos Mesh says so, and what else it says.
func injected(object *unstructured.Unstructured) (bool, string) {
	status, _, _ := unstructured.NestedMap(object.Object, "status")
	conditions, _, _ := unstructured.NestedSlice(status, "conditions")
	for _, one := range conditions {
		if c, ok := one.(map[string]any); ok && c["type"] == "AllInjected" && c["status"] == "True" {
			return true, ""
		}
	}
	return false, fmt.Sprint(status)
}

// finally is Eventually for what runs when the test's own context is over. The error has what condition saw last.
func finally(what string, condition func(ctx context.Context) (bool, string)) error {
	last := ""
	err := wait.PollUntilContextTimeout(context.Background(), 100*time.Millisecond, Patience, true, func(ctx context.Context) (bool, error) {
		done, seen := condition(ctx)
		last = seen
		return done, nil
	})
	if err != nil {
		return fmt.Errorf("wait until %s: %w: %s", what, err, last)
	}
	return nil
}
