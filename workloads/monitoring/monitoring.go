// Package monitoring is the monitoring stack of a cluster: Prometheus with its alert rules and its adapter for autoscalers,
// object state as metrics, and a trace store. The programs are in the packages below.
package monitoring

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/objects"
)

// Namespace is where the stack lives.
const Namespace = "monitoring"

// The images of the stack. They are named here, and not taken from the programs' packages, because those are heavy.
const (
	PrometheusImage = "registry.local/prom/prometheus:v3.11.0"
	KubeStateImage  = "registry.local/kube-state-metrics/kube-state-metrics:v2.17.0"
	AdapterImage    = "registry.local/prometheus-adapter/prometheus-adapter:v0.12.0"
	JaegerImage     = "registry.local/jaegertracing/jaeger:2.10.0"
)

//go:embed manifests/*.yaml rules/*.yaml prometheus.yml adapter.yaml
var files embed.FS

// Stack is the monitoring stack as an App. It deploys into Env.Namespace.
type Stack struct {
	app       *workloads.Definition
	namespace string
	// within are the namespaces that are looked at; nil means all.
	within []string
}

var _ workloads.App = (*Stack)(nil)

// New returns the stack with alerts on the objectives and expectations of app, which runs in namespace. A nil app has none.
func New(app *workloads.Definition, namespace string) *Stack {
	return &Stack{app: app, namespace: namespace}
}

// Within confines the stack to namespaces, for a cluster that has other users: it keeps metrics of nothing else, has no right to
// speak to kubelets but for their metrics, and serves no API to autoscalers, of which a cluster can have only one.
func (s *Stack) Within(namespaces ...string) *Stack {
	s.within = slices.Sorted(slices.Values(namespaces))
	return s
}

// Deploy implements workloads.App. The autoscalers' APIs are registered last, when their server is ready.
func (s *Stack) Deploy(ctx context.Context, env workloads.Env) error {
	set, err := s.Objects(env.Namespace)
	if err != nil {
		return err
	}
	apis := func(u *unstructured.Unstructured) bool { return u.GetKind() == "APIService" }
	set = set.PullFrom(env.Registry)
	servers := slices.DeleteFunc(slices.Clone(set), apis)
	if err := servers.Apply(ctx, env.Dynamic); err != nil {
		return err
	}
	// A group that nothing serves yet is a fault: discovery is incomplete, and no namespace can be deleted.
	adapter := slices.DeleteFunc(slices.Clone(servers), func(u *unstructured.Unstructured) bool {
		return u.GetKind() != "Deployment" || u.GetName() != "prometheus-adapter"
	})
	if err := adapter.Ready(ctx, env.Dynamic, env.Kubernetes); err != nil {
		return err
	}
	return slices.DeleteFunc(set, func(u *unstructured.Unstructured) bool { return !apis(u) }).Apply(ctx, env.Dynamic)
}

// Ready implements workloads.App.
func (s *Stack) Ready(ctx context.Context, env workloads.Env) error {
	set, err := s.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.Ready(ctx, env.Dynamic, env.Kubernetes)
}

// Remove implements workloads.App.
func (s *Stack) Remove(ctx context.Context, env workloads.Env) error {
	set, err := s.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.Remove(ctx, env.Dynamic)
}

// Objects returns the stack's objects in namespace, the namespace first.
func (s *Stack) Objects(namespace string) (objects.Set, error) {
	vars := map[string]string{
		"namespace": namespace, "prometheusImage": PrometheusImage, "kubeStateImage": KubeStateImage, "jaegerImage": JaegerImage,
		"adapterImage": AdapterImage, "discovery": s.discovery(), "kept": s.kept(),
	}
	dir, err := fs.Sub(files, "manifests")
	if err != nil {
		return nil, fmt.Errorf("open manifests: %w", err)
	}
	set, err := objects.Load(dir, vars)
	if err != nil {
		return nil, err
	}
	config, err := fs.ReadFile(files, "prometheus.yml")
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	text, err := objects.Expand(string(config), vars)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	adapter, err := fs.ReadFile(files, "adapter.yaml")
	if err != nil {
		return nil, fmt.Errorf("read rules of the adapter: %w", err)
	}
	rules, err := s.Rules()
	if err != nil {
		return nil, err
	}
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	ns.SetName(namespace)
	set = append(objects.Set{
		ns, configMap("prometheus", "prometheus-config", map[string]string{"prometheus.yml": text}),
		configMap("prometheus", "prometheus-rules", rules),
		configMap("prometheus-adapter", "adapter-config", map[string]string{"config.yaml": string(adapter)}),
	}, set...)
	return s.confine(set.In(namespace)), nil
}

// Rules returns the rule files by name: those that hold for every application, and those made from app's slo.yaml.
func (s *Stack) Rules() (map[string]string, error) {
	out := map[string]string{}
	names, err := fs.Glob(files, "rules/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read rules: %w", err)
		}
		out[path.Base(name)] = string(data)
	}
	if s.app == nil {
		return out, nil
	}
	for name, groups := range map[string]ruleFile{
		"expectations.yaml": expectations(s.app.Services, s.namespace),
		"objectives.yaml":   objectives(s.app.SLOs),
	} {
		if out[name], err = groups.text(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func configMap(of, name string, data map[string]string) *unstructured.Unstructured {
	content := map[string]any{}
	for k, v := range data {
		content[k] = v
	}
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": content}}
	u.SetName(name)
	u.SetLabels(map[string]string{"app.kubernetes.io/name": of})
	return u
}
