package scaleout

import (
	"context"
	"errors"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
)

// call makes a call of the API server until it is answered, for patience at most while the server is out of reach or in trouble. An
// answer that will be the same the next time is returned at once.
func (e *Executor) call(ctx context.Context, do func(context.Context) error) error {
	var answer error
	err := blob.Patiently(ctx, e.Clock, patience, func(ctx context.Context) error {
		err := do(ctx)
		if answered(err) {
			answer = err
			return nil
		}
		return err
	})
	if answer != nil {
		return answer
	}
	return err
}

// answered reports whether err is an answer of the API server that will be the same the next time. That it does not know who asks is
// none: plugins of a kubeconfig get new credentials only once the old ones were refused.
func answered(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || apierrors.IsConflict(err) {
		return false
	}
	switch code := status.Status().Code; code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	default:
		return code >= http.StatusBadRequest && code < http.StatusInternalServerError
	}
}

// ensure creates an object with patience. It is no error that the object is there already: an answer may have been lost.
func ensure[T any](ctx context.Context, e *Executor, create func(context.Context, T, metav1.CreateOptions) (T, error), object T) error {
	err := e.call(ctx, func(ctx context.Context) error {
		_, err := create(ctx, object, metav1.CreateOptions{})
		return err
	})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// read gets an object with patience.
func read[T any](ctx context.Context, e *Executor, get func(context.Context, string, metav1.GetOptions) (T, error), name string) (T, error) {
	var object T
	err := e.call(ctx, func(ctx context.Context) error {
		var err error
		object, err = get(ctx, name, metav1.GetOptions{})
		return err
	})
	return object, err
}
