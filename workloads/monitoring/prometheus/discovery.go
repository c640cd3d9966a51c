package prometheus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	kubesd "github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/gameday-bench/gameday/workloads/monitoring/kubeclient"
)

// The index names that package discovery/kubernetes looks its objects up by.
const (
	indexService = "service"
	indexPod     = "pod"
)

// kubeSD is a kubernetes_sd_configs entry whose client goes through Sys: Prometheus's own would read the host's files and
// dial on the host's network. The discoverers are Prometheus's own.
type kubeSD struct {
	*kubesd.SDConfig
	access *kubeAccess
}

var _ discovery.Config = kubeSD{}

// NewDiscoverer returns the discoverer of the entry's role.
func (c kubeSD) NewDiscoverer(o discovery.DiscovererOptions) (discovery.Discoverer, error) {
	switch {
	case c.KubeConfig != "" || c.APIServer.URL != nil:
		return nil, errors.New("kubernetes_sd_configs: only the pod's own service account is supported, not api_server or kubeconfig_file")
	case c.AttachMetadata != (kubesd.AttachMetadataConfig{}):
		return nil, errors.New("kubernetes_sd_configs: attach_metadata is not supported")
	}
	client, err := c.access.Client()
	if err != nil {
		return nil, err
	}
	namespaces := c.NamespaceDiscovery.Names
	if c.NamespaceDiscovery.IncludeOwnNamespace {
		namespaces = append(namespaces[:len(namespaces):len(namespaces)], c.access.namespace)
	}
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	return &kubeDiscoverer{config: c.SDConfig, client: client, namespaces: namespaces, logger: o.Logger, events: c.access.events}, nil
}

// NewDiscovererMetrics returns no metrics: they belong to access, which all entries share.
func (c kubeSD) NewDiscovererMetrics(prometheus.Registerer, discovery.RefreshMetricsInstantiator) discovery.DiscovererMetrics {
	return &discovery.NoopDiscovererMetrics{}
}

// kubeAccess is the access that all entries share. The client is made when the first entry asks for it.
type kubeAccess struct {
	config    func() (*rest.Config, error)
	namespace string
	events    *prometheus.CounterVec

	mu     sync.Mutex
	client kubernetes.Interface
}

func newKubeAccess(config func() (*rest.Config, error), namespace string, reg prometheus.Registerer) *kubeAccess {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "prometheus_sd_kubernetes_events_total", Help: "The number of Kubernetes events handled.",
	}, []string{"role", "event"})
	reg.MustRegister(events)
	return &kubeAccess{config: config, namespace: namespace, events: events}
}

// Client returns the client; it is made once.
func (a *kubeAccess) Client() (kubernetes.Interface, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client != nil {
		return a.client, nil
	}
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	cfg.UserAgent = "Prometheus/" + Version
	a.client, err = kubernetes.NewForConfig(cfg)
	return a.client, err
}

// throughSys replaces every kubernetes_sd_configs entry of cfg and makes its HTTP clients read secrets from the container.
func throughSys(cfg *config.Config, access *kubeAccess) error {
	for _, sc := range cfg.ScrapeConfigs {
		if err := useSecrets(&sc.HTTPClientConfig); err != nil {
			return fmt.Errorf("scrape config %s: %w", sc.JobName, err)
		}
		for i, sd := range sc.ServiceDiscoveryConfigs {
			switch sd := sd.(type) {
			case *kubesd.SDConfig:
				sc.ServiceDiscoveryConfigs[i] = kubeSD{sd, access}
			case discovery.StaticConfig:
			default:
				return fmt.Errorf("scrape config %s: %s_sd_configs is not supported (allowed: kubernetes, static)", sc.JobName, sd.Name())
			}
		}
	}
	if len(cfg.AlertingConfig.AlertmanagerConfigs) > 0 || len(cfg.RemoteWriteConfigs) > 0 || len(cfg.RemoteReadConfigs) > 0 {
		return errors.New("alerting, remote_write and remote_read are not supported")
	}
	return nil
}

// kubeDiscoverer runs the discoverers of one role, one per namespace.
type kubeDiscoverer struct {
	config     *kubesd.SDConfig
	client     kubernetes.Interface
	namespaces []string
	logger     *slog.Logger
	events     *prometheus.CounterVec
}

// Run sends target groups to ch until ctx ends.
func (d *kubeDiscoverer) Run(ctx context.Context, ch chan<- []*targetgroup.Group) {
	var wg sync.WaitGroup
	start := func(r discovery.Discoverer, informers ...cache.SharedInformer) {
		for _, i := range informers {
			wg.Go(func() { i.RunWithContext(ctx) })
		}
		wg.Go(func() { r.Run(ctx, ch) })
	}
	if d.config.Role == kubesd.RoleNode {
		nodes := d.informer("nodes", metav1.NamespaceAll, &corev1.Node{}, nil)
		start(kubesd.NewNode(d.logger, nodes, d.events), nodes)
	} else {
		for _, ns := range d.namespaces {
			d.startNamespace(ns, start)
		}
	}
	wg.Wait()
	<-ctx.Done()
}

func (d *kubeDiscoverer) startNamespace(ns string, start func(discovery.Discoverer, ...cache.SharedInformer)) {
	pods := func() cache.SharedIndexInformer { return d.informer("pods", ns, &corev1.Pod{}, nil) }
	services := func() cache.SharedIndexInformer { return d.informer("services", ns, &corev1.Service{}, nil) }
	switch d.config.Role {
	case kubesd.RolePod:
		p := pods()
		start(kubesd.NewPod(d.logger, p, nil, nil, nil, nil, false, false, false, d.events), p)
	case kubesd.RoleService:
		s := services()
		start(kubesd.NewService(d.logger, s, nil, d.events), s)
	case kubesd.RoleEndpoint:
		e, s, p := d.informer("endpoints", ns, &corev1.Endpoints{}, cache.Indexers{indexPod: podsOfEndpoints}), services(), pods() //nolint:staticcheck // the role is defined on Endpoints.
		start(kubesd.NewEndpoints(d.logger, e, s, p, nil, nil, nil, nil, false, false, false, d.events), e, s, p)                  //nolint:staticcheck // as above.
	case kubesd.RoleEndpointSlice:
		e, s, p := d.informer("endpointslices", ns, &discoveryv1.EndpointSlice{}, cache.Indexers{indexService: serviceOfSlice}), services(), pods()
		start(kubesd.NewEndpointSlice(d.logger, e, s, p, nil, nil, nil, nil, false, false, false, d.events), e, s, p)
	default:
		d.logger.Error("kubernetes_sd_configs: role is not supported", "role", d.config.Role)
	}
}

// informer watches one resource with the selectors that the entry declares for it.
func (d *kubeDiscoverer) informer(resource, ns string, example runtime.Object, indexers cache.Indexers) cache.SharedIndexInformer {
	var client cache.Getter = d.client.CoreV1().RESTClient()
	if resource == "endpointslices" {
		client = d.client.DiscoveryV1().RESTClient()
	}
	label, field := d.selectors(resource)
	lw := cache.NewFilteredListWatchFromClient(client, resource, ns, func(o *metav1.ListOptions) {
		o.LabelSelector, o.FieldSelector = label, field
	})
	if indexers == nil {
		indexers = cache.Indexers{}
	}
	i := cache.NewSharedIndexInformer(lw, example, 0, indexers)
	// It fails only on an informer that has been started.
	_ = i.SetTransform(kubeclient.Slim)
	return i
}

func (d *kubeDiscoverer) selectors(resource string) (label, field string) {
	for _, s := range d.config.Selectors {
		if strings.TrimSuffix(s.Role.String(), "s") == strings.TrimSuffix(resource, "s") {
			label, field = s.Label, s.Field
		}
	}
	return label, field
}

func podsOfEndpoints(obj any) ([]string, error) {
	e, ok := obj.(*corev1.Endpoints) //nolint:staticcheck // the role is defined on Endpoints.
	if !ok {
		return nil, errors.New("object is not endpoints")
	}
	var out []string
	for _, s := range e.Subsets {
		for _, a := range s.Addresses {
			if a.TargetRef != nil && a.TargetRef.Kind == "Pod" {
				out = append(out, a.TargetRef.Namespace+"/"+a.TargetRef.Name)
			}
		}
	}
	return out, nil
}

func serviceOfSlice(obj any) ([]string, error) {
	e, ok := obj.(*discoveryv1.EndpointSlice)
	if !ok {
		return nil, errors.New("object is not an endpointslice")
	}
	if name, ok := e.Labels[discoveryv1.LabelServiceName]; ok {
		return []string{e.Namespace + "/" + name}, nil
	}
	return nil, nil
}
