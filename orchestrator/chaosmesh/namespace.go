package chaosmesh

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/internal/errs"
)

const (
	// podSecurity is the label by which the API server admits pods.
	podSecurity = "pod-security.kubernetes.io/enforce"
	// privileged is what the daemon needs: it enters the network and the processes of other pods.
	privileged = "privileged"
)

// makeNamespace creates a namespace that takes the daemon, where there is none, and checks one that is there.
func (s *site) makeNamespace(ctx context.Context, name string) error {
	client := s.kube.CoreV1().Namespaces()
	return s.until(ctx, s.pace.gone, "namespace "+name, func(ctx context.Context) (string, error) {
		have, err := client.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return "", fmt.Errorf("read it: %w", err)
		case have.DeletionTimestamp != nil:
			return "it is still being deleted", nil
		default:
			if level := have.Labels[podSecurity]; level != "" && level != privileged {
				return "", errs.Hint(errs.Newf(errs.Infra, "it takes no privileged pods (%s=%s), and Chaos Mesh's daemon is one", podSecurity, level),
					"allow them: kubectl label --overwrite namespace %s %s=%s", name, podSecurity, privileged)
			}
			return "", nil
		}
		_, err = client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{OwnedLabel: owned, podSecurity: privileged},
		}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return "", fmt.Errorf("create it: %w", err)
		}
		return "", nil
	})
}

// removeNamespace deletes a namespace that is ours, and waits until it is gone. Others stay.
func (s *site) removeNamespace(ctx context.Context, name string) error {
	client := s.kube.CoreV1().Namespaces()
	return s.until(ctx, s.pace.gone, "the removal of namespace "+name, func(ctx context.Context) (string, error) {
		have, err := client.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return "", nil
		case err != nil:
			return again(err)
		case have.Labels[OwnedLabel] != owned:
			return "", nil
		case have.DeletionTimestamp == nil:
			if err := client.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return again(err)
			}
		}
		return "it is there", nil
	})
}
