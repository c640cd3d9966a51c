package chaosmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/internal/errs"
)

// Uninstall removes an installation of this package with everything of it: experiments are recovered, the release, the definitions and
// the namespace are deleted where this package made them, and it is waited for until they are gone. Other installations are left as they
// are, and the result is nil. It can be called again after an error, which names what is left (party infra).
//
// What Chaos Mesh does not recover within 20 seconds, or has no controller for any more, is let go: the log says which objects, and
// what they did to pods may last as long as these.
func (r *Release) Uninstall(ctx context.Context) error {
	if !r.ours {
		r.log.InfoContext(ctx, "Chaos Mesh was there before, it stays", "namespace", r.namespace)
		return nil
	}
	if err := r.remove(ctx); err != nil {
		return errs.Hint(fmt.Errorf("uninstall Chaos Mesh from namespace %s: %w", r.namespace, blame(err)),
			"remove the rest: helm -n %s uninstall %s; kubectl delete namespace,crd -l %s=%s", r.namespace, r.helmName(), OwnedLabel, owned)
	}
	r.log.InfoContext(ctx, "Chaos Mesh is uninstalled", "namespace", r.namespace)
	return nil
}

func (r *Release) helmName() string { return cmp.Or(r.name, releaseName) }

// remove is Uninstall for an installation that is ours. An error in one part does not keep the others.
func (r *Release) remove(ctx context.Context) error {
	if err := r.endExperiments(ctx); err != nil {
		// Not the end: without webhooks they can be let go, below.
		r.log.WarnContext(ctx, "experiments are not recovered", "err", err)
	}
	return errors.Join(
		r.uninstallChart(r.namespace, r.helmName()),
		// The definitions of others stay, and with them what has a finalizer that nobody takes any more.
		r.letGo(ctx),
		r.awaitEnd(ctx),
		r.undefine(ctx),
		r.removeNamespace(ctx, r.namespace),
	)
}

// endExperiments deletes all experiments. Where controllers run, it waits until they have recovered them.
func (r *Release) endExperiments(ctx context.Context) error {
	controllers, err := r.controllers(ctx, r.namespace)
	if err != nil {
		return err
	}
	for _, d := range controllers {
		if d.Status.AvailableReplicas > 0 {
			return r.recoverExperiments(ctx, r.experiments)
		}
	}
	objects, err := r.experiments(ctx)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if err := r.discard(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// awaitEnd waits until no program of the release runs any more.
func (r *Release) awaitEnd(ctx context.Context) error {
	return r.until(ctx, r.pace.gone, "the end of Chaos Mesh's programs", func(ctx context.Context) (string, error) {
		pods, err := r.kube.CoreV1().Pods(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: instanceLabel + "=" + r.helmName()})
		if err != nil {
			return again(err)
		}
		if n := len(pods.Items); n > 0 {
			return fmt.Sprintf("%d pods are there, %s among them", n, pods.Items[0].Name), nil
		}
		return "", nil
	})
}
