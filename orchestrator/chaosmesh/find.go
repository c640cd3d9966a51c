package chaosmesh

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/release"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/internal/errs"
)

// The programs of Chaos Mesh. Every way to install it calls them so.
const (
	controllerName = "chaos-controller-manager"
	daemonName     = "chaos-daemon"
	dnsName        = "chaos-dns-server"

	componentLabel  = "app.kubernetes.io/component"
	instanceLabel   = "app.kubernetes.io/instance"
	versionLabel    = "app.kubernetes.io/version"
	controllerLabel = componentLabel + "=controller-manager"
	daemonLabel     = componentLabel + "=chaos-daemon"
)

// find returns the installation in a namespace, or anywhere where it is empty; nil where there is none.
func (s *site) find(ctx context.Context, namespace string) (*Release, error) {
	controllers, err := s.controllers(ctx, namespace)
	if err != nil {
		return nil, err
	}
	// Without controllers there may still be the record of an installation that was cut off.
	at := cmp.Or(namespace, s.o.Namespace)
	if len(controllers) > 0 {
		at = controllers[0].Namespace
	}
	if len(controllers) > 1 {
		var all []string
		for _, d := range controllers {
			all = append(all, d.Namespace)
		}
		return nil, errs.Hint(errs.Newf(errs.Infra, "namespaces %s: %w", strings.Join(all, ", "), errSeveral), "uninstall all but one")
	}
	rel, err := s.releaseIn(at)
	if err != nil {
		return nil, err
	}
	switch {
	case rel == nil && len(controllers) == 0:
		return nil, nil
	case rel == nil:
		return &Release{site: s, namespace: at, version: controllers[0].Labels[versionLabel], whole: true}, nil
	}
	return &Release{
		site: s, namespace: at, name: rel.Name, version: rel.Chart.Metadata.Version, ours: rel.Labels[OwnedLabel] == owned,
		whole: rel.Info.Status == release.StatusDeployed && len(controllers) == 1,
	}, nil
}

// controllers are the Deployments of Chaos Mesh's controllers in a namespace, or everywhere where it is empty.
func (s *site) controllers(ctx context.Context, namespace string) ([]appsv1.Deployment, error) {
	list, err := s.kube.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + controllerName})
	if err != nil {
		return nil, fmt.Errorf("look for Chaos Mesh's controllers: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(d appsv1.Deployment) bool { return d.Name != controllerName }), nil
}
