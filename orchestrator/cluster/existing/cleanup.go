package existing

import (
	"context"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/gameday-bench/gameday/internal/errs"
)

// cleanUpCommand is what removes what a killed run has left.
func (p *Provider) cleanUpCommand() string {
	words := []string{"gameday delete cluster --cluster existing --context", p.Context}
	if p.Kubeconfig != "" {
		words = append(words, "--kubeconfig", p.Kubeconfig)
	}
	return strings.Join(words, " ")
}

// CleanUp removes everything that runs have left on the cluster, found by label, and waits until it is gone. It returns what it
// found, for people; nothing is no error. A run that still holds the cluster is left alone with an error of party infra, unless
// force is true: then it is as if it were dead. The error names what is left.
func (p *Provider) CleanUp(ctx context.Context, force bool) ([]string, error) {
	a, err := p.access()
	if err != nil {
		return nil, err
	}
	c := &cleaner{access: a, provider: p}
	if c.kube, err = kubernetes.NewForConfig(a.rest); err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfig(a.rest); err != nil {
		return nil, fmt.Errorf("make dynamic client: %w", err)
	}
	found, err := c.clean(ctx, force)
	if err != nil && errs.PartyOf(err) == "" {
		err = errs.With(errs.Infra, err)
	}
	if err != nil {
		err = fmt.Errorf("clean up existing cluster %s: %w", p.Context, err)
	}
	return found, err
}

// cleaner removes what runs have left on one cluster.
type cleaner struct {
	*access
	provider *Provider
	kube     kubernetes.Interface
	dynamic  dynamic.Interface
}

func (c *cleaner) clean(ctx context.Context, force bool) ([]string, error) {
	p := c.provider
	held, err := readClaim(ctx, c.kube, p.clock().Now())
	switch {
	case errors.Is(err, errForeignHome):
		held = nil // Then it holds no claim of ours; what else is labelled goes.
	case err != nil:
		return nil, err
	case held != nil && held.live && !force:
		return nil, errs.Hint(errs.Newf(errs.Infra, "in use by %s", held), "wait until that run has ended")
	}
	s := sweeper{kube: c.kube, dynamic: c.dynamic}
	found, err := s.find(ctx, OwnerLabel)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range found {
		names = append(names, m.String())
	}
	if len(found) == 0 {
		return nil, nil
	}
	var all []error
	if held != nil {
		all = append(all, uncordon(ctx, c.kube, held.cordoned), removeChaosObjects(ctx, c.kube, c.dynamic, p.clock(), p.log()))
	}
	all = append(all, s.remove(ctx, OwnerLabel+","+scopeLabel+"="+scopeTrial), c.removeMeshes(ctx), s.remove(ctx, OwnerLabel))
	return names, errors.Join(all...)
}

// removeMeshes uninstalls Chaos Mesh where a run has installed it.
func (c *cleaner) removeMeshes(ctx context.Context) error {
	list, err := c.kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: OwnerLabel + "," + meshLabel})
	if err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	var all []error
	for _, ns := range list.Items {
		all = append(all, removeMesh(ctx, c.provider.chaosMesh(), c.rest, c.dynamic, ns.Name))
	}
	return errors.Join(all...)
}
