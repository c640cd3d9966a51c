package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset/typed/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/orchestrator/chaosmesh/crds"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/addons"
)

func alreadyExists(err error) bool { return apierrors.IsAlreadyExists(err) }

// resources are the kinds that the add-ons consist of.
var resources = map[string]string{
	"Namespace": "namespaces", "ServiceAccount": "serviceaccounts", "ConfigMap": "configmaps", "Service": "services",
	"Deployment": "deployments", "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings",
	"RoleBinding": "rolebindings", "EndpointSlice": "endpointslices",
}

// applyAddons creates what an installer would. Objects that exist are left alone: they may have been changed since.
func (p *plane) applyAddons(ctx context.Context, admin *rest.Config) error {
	objects, err := addons.Objects(p.spec)
	if err != nil {
		return err
	}
	c, err := dynamic.NewForConfig(admin)
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	for _, o := range objects {
		resource, ok := resources[o.GetKind()]
		if !ok {
			return fmt.Errorf("create add-on %s: kind %s is not known here", o.GetName(), o.GetKind())
		}
		gvr := o.GroupVersionKind().GroupVersion().WithResource(resource)
		what := fmt.Sprintf("%s %s", strings.ToLower(o.GetKind()), o.GetName())
		// The API server creates kube-system itself, and not at once.
		err := until(ctx, what, func(ctx context.Context) error {
			_, err := c.Resource(gvr).Namespace(o.GetNamespace()).Create(ctx, o, metav1.CreateOptions{})
			if alreadyExists(err) {
				return nil
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	p.mark("add-ons")
	return nil
}

// createCRDs creates Chaos Mesh's definitions and waits until the API server serves them.
func (p *plane) createCRDs(ctx context.Context, admin *rest.Config) error {
	all, err := crds.All()
	if err != nil {
		return err
	}
	c, err := apiextensions.NewForConfig(admin)
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, d := range all {
		g.Go(func() error {
			_, err := c.CustomResourceDefinitions().Create(gctx, d, metav1.CreateOptions{})
			if err != nil && !alreadyExists(err) {
				return fmt.Errorf("create definition %s: %w", d.Name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	// A group's discovery document lists what is established; the definitions themselves are half a megabyte.
	return until(ctx, "chaos definitions", func(ctx context.Context) error {
		var served metav1.APIResourceList
		err := impatient(c.RESTClient().Get().AbsPath("/apis", chaosGroup, chaosVersion)).Do(ctx).Into(&served)
		if err != nil {
			return err
		}
		kinds := 0
		for _, r := range served.APIResources {
			if !strings.Contains(r.Name, "/") {
				kinds++
			}
		}
		if kinds < len(all) {
			return fmt.Errorf("%d of %d are served", kinds, len(all))
		}
		return nil
	})
}

// The API group of Chaos Mesh.
const (
	chaosGroup   = "chaos-mesh.org"
	chaosVersion = "v1alpha1"
)

// waitWebhooks waits until the API server asks Chaos Mesh's webhook about a chaos object, by trying (without effect) to
// create one that only the webhook can refuse.
func (p *plane) waitWebhooks(ctx context.Context, admin *rest.Config) error {
	kube, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	invalid, err := json.Marshal(map[string]any{
		"apiVersion": chaosGroup + "/" + chaosVersion, "kind": "NetworkChaos",
		"metadata": map[string]any{"name": "readiness", "namespace": metav1.NamespaceDefault},
		"spec": map[string]any{
			"action": "delay", "mode": "fixed", "value": "0", "selector": map[string]any{},
			"delay": map[string]any{"latency": "1ms"},
		},
	})
	if err != nil {
		return fmt.Errorf("encode invalid object: %w", err)
	}
	err = until(ctx, "chaos admission", func(ctx context.Context) error {
		// An apply is not delayed, as the creation of an object is in the first two seconds of its definition.
		err := kube.RESTClient().Patch(types.ApplyPatchType).AbsPath("/apis", chaosGroup, chaosVersion, "namespaces",
			metav1.NamespaceDefault, "networkchaos", "readiness").Param("dryRun", metav1.DryRunAll).
			Param("fieldManager", "gameday").Body(invalid).MaxRetries(0).Do(ctx).Error()
		switch {
		case err == nil:
			return errors.New("an invalid object is accepted")
		case strings.Contains(err.Error(), "vnetworkchaos.kb.io") && strings.Contains(err.Error(), "denied"):
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	p.mark("chaos admission")
	return nil
}

// waitReady waits for what a client needs: a ready API server, and a controller manager that has made the default
// service account and published the certificate authority to it.
func (p *plane) waitReady(ctx context.Context, admin *rest.Config) error {
	if err := waitPath(ctx, admin, "/readyz"); err != nil {
		return err
	}
	p.mark("apiserver ready")
	c, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	core := c.CoreV1()
	err = until(ctx, "the default service account", func(ctx context.Context) error {
		if _, err := core.ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err
		}
		_, err := core.ConfigMaps(metav1.NamespaceDefault).Get(ctx, rootCA, metav1.GetOptions{})
		return err
	})
	if err != nil {
		return err
	}
	err = until(ctx, "the kubernetes Service", func(ctx context.Context) error {
		_, err := core.Services(metav1.NamespaceDefault).Get(ctx, "kubernetes", metav1.GetOptions{})
		return err
	})
	if err != nil {
		return err
	}
	p.mark("controllers")
	return nil
}

// rootCA is the ConfigMap through which pods learn the certificate authority.
const rootCA = "kube-root-ca.crt"
