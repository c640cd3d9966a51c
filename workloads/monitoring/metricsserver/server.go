package metricsserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-base/metrics"
	"sigs.k8s.io/metrics-server/pkg/api"
	"sigs.k8s.io/metrics-server/pkg/api/generated/openapi"
	"sigs.k8s.io/metrics-server/pkg/scraper"
	"sigs.k8s.io/metrics-server/pkg/storage"

	"github.com/gameday-bench/gameday/workloads/monitoring/aggregate"
	"github.com/gameday-bench/gameday/workloads/monitoring/kubeclient"
)

// server is one running metrics-server.
type server struct {
	api         *genericapiserver.GenericAPIServer
	nodes, pods cache.SharedIndexInformer
	scraper     scraper.Scraper
	storage     storage.Storage
	resolution  time.Duration
	// lastTick is when the kubelets were last asked, in nanoseconds of Unix time; 0 before the first time.
	lastTick atomic.Int64
}

func newServer(ctx context.Context, access *rest.Config, listener net.Listener, host string, o options) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, aggregate.StartTimeout)
	defer cancel()
	config, err := aggregate.NewConfig(ctx, aggregate.Options{
		Title: "Kubernetes metrics-server", Version: "v" + Version, Rest: access, Listener: listener,
		Hosts:  []string{host, "metrics-server.kube-system.svc"},
		Scheme: api.Scheme, Codecs: api.Codecs, Definitions: aggregate.Definitions(openapi.GetOpenAPIDefinitions),
	})
	if err != nil {
		return nil, err
	}
	s := &server{storage: storage.NewStorage(o.resolution), resolution: o.resolution}
	if s.api, err = config.Complete(nil).New("metrics-server", genericapiserver.NewEmptyDelegate()); err != nil {
		return nil, fmt.Errorf("make API server: %w", err)
	}
	nodes, pods, err := watch(access)
	if err != nil {
		return nil, err
	}
	s.nodes, s.pods = nodes.Informer(), pods.Informer()
	kubelets, err := newKubelets(access, o)
	if err != nil {
		return nil, err
	}
	s.scraper = scraper.NewScraper(nodes.Lister(), kubelets, o.timeout, nil)
	if err := api.Install(s.storage, pods.Lister(), nodes.Lister(), s.api, nil); err != nil {
		return nil, fmt.Errorf("install metrics.k8s.io: %w", err)
	}
	return s, s.install()
}

// watch returns informers for what the API lists: all nodes, and the metadata of the running pods.
func watch(access *rest.Config) (coreinformers.NodeInformer, informers.GenericInformer, error) {
	typed := rest.CopyConfig(access)
	typed.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(typed)
	if err != nil {
		return nil, nil, fmt.Errorf("make client: %w", err)
	}
	meta, err := metadata.NewForConfig(access)
	if err != nil {
		return nil, nil, fmt.Errorf("make metadata client: %w", err)
	}
	nodes := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(kubeclient.Slim)).Core().V1().Nodes()
	pods := metadatainformer.NewFilteredSharedInformerFactory(meta, 0, metav1.NamespaceAll, func(o *metav1.ListOptions) {
		o.FieldSelector = "status.phase=Running"
	}).ForResource(corev1.SchemeGroupVersion.WithResource("pods"))
	if err := pods.Informer().SetTransform(kubeclient.Slim); err != nil {
		return nil, nil, fmt.Errorf("prepare informer: %w", err)
	}
	return nodes, pods, nil
}

// install adds the health checks and the program's own metrics.
func (s *server) install() error {
	if err := s.api.AddReadyzChecks(
		healthz.NamedCheck("metric-storage-ready", s.stored), healthz.NamedCheck("metric-informer-sync", s.synced),
	); err != nil {
		return fmt.Errorf("install health checks: %w", err)
	}
	if err := s.api.AddLivezChecks(0, healthz.NamedCheck("metric-collection-timely", s.timely)); err != nil {
		return fmt.Errorf("install health checks: %w", err)
	}
	registry := metrics.NewKubeRegistry()
	for _, register := range []func(func(metrics.Registerable) error) error{
		scraper.RegisterScraperMetrics, storage.RegisterStorageMetrics, api.RegisterAPIMetrics,
	} {
		if err := register(registry.Register); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	s.api.Handler.NonGoRestfulMux.Handle("/metrics", metrics.HandlerFor(registry, metrics.HandlerOpts{}))
	return nil
}

// run watches, asks the kubelets and serves until ctx ends.
func (s *server) run(ctx context.Context) error {
	go s.nodes.RunWithContext(ctx)
	go s.pods.RunWithContext(ctx)
	go s.collect(ctx)
	if err := s.api.PrepareRun().RunWithContext(ctx); err != nil {
		return fmt.Errorf("serve metrics.k8s.io: %w", err)
	}
	return nil
}

// collect asks all kubelets once per period.
func (s *server) collect(ctx context.Context) {
	if !cache.WaitForCacheSync(ctx.Done(), s.nodes.HasSynced, s.pods.HasSynced) {
		return
	}
	tick := time.NewTicker(s.resolution)
	defer tick.Stop()
	for {
		s.lastTick.Store(time.Now().UnixNano())
		s.storage.Store(s.scraper.Scrape(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *server) stored(*http.Request) error {
	if !s.storage.Ready() {
		return errors.New("no metrics to serve")
	}
	return nil
}

func (s *server) synced(*http.Request) error {
	if !s.nodes.HasSynced() || !s.pods.HasSynced() {
		return errors.New("the caches have not synced")
	}
	return nil
}

// lateness is how much later than its period a round may begin before the program counts as stuck. Upstream's is half a
// period; a period of seconds needs more for a machine under load.
const lateness = 15 * time.Second

func (s *server) timely(*http.Request) error {
	last := s.lastTick.Load()
	if last != 0 && time.Since(time.Unix(0, last)) > s.resolution+lateness {
		return errors.New("metric collection didn't finish on time")
	}
	return nil
}
