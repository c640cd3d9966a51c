package existing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/preflight"
)

// mesh is where Chaos Mesh comes from.
type mesh interface {
	// check finds out what keeps install from beginning, without a cluster.
	check(ctx context.Context, o chaosmesh.Options) error
	// find returns the installation in a namespace; nil where there is none.
	find(ctx context.Context, config *rest.Config, namespace string) (release, error)
	// install installs it as the options say.
	install(ctx context.Context, config *rest.Config, o chaosmesh.Options) (release, error)
}

// release is one installation of Chaos Mesh.
type release interface {
	// Verify returns when a canary shows that faults are really injected.
	Verify(ctx context.Context) error
	// Uninstall removes the installation.
	Uninstall(ctx context.Context) error
}

// charts is the mesh of package chaosmesh.
type charts struct{}

func (charts) check(ctx context.Context, o chaosmesh.Options) error { return o.Check(ctx) }

func (charts) find(ctx context.Context, config *rest.Config, namespace string) (release, error) {
	found, err := chaosmesh.Find(ctx, config, namespace)
	if err != nil || found == nil {
		return nil, err
	}
	return found, nil
}

func (charts) install(ctx context.Context, config *rest.Config, o chaosmesh.Options) (release, error) {
	made, err := chaosmesh.Install(ctx, config, o)
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (p *Provider) chaosMesh() mesh {
	if p.mesh == nil {
		return charts{}
	}
	return p.mesh
}

// chaosNamespace is where Chaos Mesh is installed to where the cluster has none.
func (p *Provider) chaosNamespace() string { return cmp.Or(p.Chaos.Namespace, "chaos-mesh") }

// chartLimit bounds the look at the chart.
const chartLimit = 20 * time.Second

// controller is the Deployment of Chaos Mesh's controllers: every way to install it calls it so.
const controller = "chaos-controller-manager"

// checkChaos looks for Chaos Mesh, wherever it is, and otherwise whether it can be installed.
func (in *inspection) checkChaos(ctx context.Context) preflight.Check {
	const name = "Chaos Mesh"
	list, err := in.kube.AppsV1().Deployments(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + controller})
	if err != nil {
		return preflight.Failed(name, in.rightsHint(), "look for its controllers: %v", err)
	}
	if len(list.Items) > 0 {
		d := list.Items[0]
		in.chaosAt = d.Namespace
		if d.Status.AvailableReplicas == 0 {
			return preflight.Failed(name, fmt.Sprintf("see why: kubectl --context %s -n %s describe deployment %s", in.target.Context, d.Namespace, controller),
				"it is installed in namespace %s and does not run", d.Namespace)
		}
		return preflight.Passed(name, "%s in namespace %s", cmp.Or(d.Labels["app.kubernetes.io/version"], "an unknown version"), d.Namespace)
	}
	left, err := definitions(ctx, in.dynamic)
	switch {
	case err != nil:
		return preflight.Failed(name, in.rightsHint(), "look for its definitions: %v", err)
	case len(left) > 0:
		return preflight.Failed(name, "install it again, or remove what is left: kubectl --context "+in.target.Context+" delete crd "+strings.Join(left, " "),
			"it has been removed, but for %d definitions", len(left))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, chartLimit, fmt.Errorf("no answer within %s", chartLimit))
	defer cancel()
	if err := in.provider.chaosMesh().check(ctx, in.provider.Chaos); err != nil {
		return preflight.Failed(name, errs.HintOf(err), "it is not installed, and cannot be: %v", err)
	}
	return preflight.Passed(name, "not installed: it will be, in namespace %s, until the end of the run", in.provider.chaosNamespace())
}

func crds(d dynamic.Interface) dynamic.ResourceInterface {
	return d.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
}

// definitions are the names of Chaos Mesh's custom resource definitions.
func definitions(ctx context.Context, d dynamic.Interface) ([]string, error) {
	list, err := crds(d).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list custom resource definitions: %w", err)
	}
	var out []string
	for _, crd := range list.Items {
		if group, _, _ := unstructured.NestedString(crd.Object, "spec", "group"); group == chaosGroup {
			out = append(out, crd.GetName())
		}
	}
	return out, nil
}

// beginChaos finds Chaos Mesh or installs it, and proves that it works.
func (s *session) beginChaos(ctx context.Context, at string) error {
	var r release
	var err error
	if at != "" {
		if r, err = s.mesh.find(ctx, s.rest, at); err == nil && r == nil {
			err = errors.New("it is not there any more")
		}
		if err != nil {
			return fmt.Errorf("find Chaos Mesh in namespace %s: %w", at, err)
		}
	} else if r, err = s.installChaos(ctx); err != nil {
		return fmt.Errorf("install Chaos Mesh in namespace %s: %w", s.chaosIn, err)
	}
	if err := r.Verify(ctx); err != nil {
		return fmt.Errorf("see that Chaos Mesh works: %w", err)
	}
	return nil
}

func (s *session) installChaos(ctx context.Context) (release, error) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.chaosIn, Labels: map[string]string{
		OwnerLabel: s.owner, scopeLabel: scopeRun, meshLabel: "true",
		// Its daemon enters the network and processes of other pods.
		podSecurity: "privileged",
	}}}
	if _, err := s.kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("create namespace: %w", err)
	}
	s.installed = true
	return s.mesh.install(ctx, s.rest, s.options)
}

// meshLabel is on the namespace of an installation that a run has made.
const meshLabel = "gameday.dev/chaos-mesh"

// removeMesh uninstalls Chaos Mesh from a namespace, with its definitions: there were none before. The namespace stays.
func removeMesh(ctx context.Context, m mesh, config *rest.Config, d dynamic.Interface, namespace string) error {
	r, err := m.find(ctx, config, namespace)
	if err == nil && r != nil {
		err = r.Uninstall(ctx)
	}
	if err != nil {
		return fmt.Errorf("uninstall Chaos Mesh from namespace %s: %w", namespace, err)
	}
	names, err := definitions(ctx, d)
	if err != nil {
		return err
	}
	var gone []made
	for _, name := range names {
		if err := crds(d).Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete definition %s: %w", name, err)
		}
		gone = append(gone, made{schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}, name})
	}
	return awaitGone(ctx, d, gone)
}
