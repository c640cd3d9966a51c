package prometheusadapter

import (
	"context"
	"fmt"
	"net"

	"k8s.io/apimachinery/pkg/api/meta"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/dynamicmapper"
	core "sigs.k8s.io/custom-metrics-apiserver/pkg/generated/openapi/core"
	custom "sigs.k8s.io/custom-metrics-apiserver/pkg/generated/openapi/custommetrics"
	external "sigs.k8s.io/custom-metrics-apiserver/pkg/generated/openapi/externalmetrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
	"sigs.k8s.io/prometheus-adapter/pkg/client"
	"sigs.k8s.io/prometheus-adapter/pkg/config"
	customprovider "sigs.k8s.io/prometheus-adapter/pkg/custom-provider"
	externalprovider "sigs.k8s.io/prometheus-adapter/pkg/external-provider"
	"sigs.k8s.io/prometheus-adapter/pkg/naming"

	"github.com/gameday-bench/gameday/workloads/monitoring/aggregate"
)

// params say what a server is made of.
type params struct {
	access   *rest.Config
	listener net.Listener
	// host is the server's own name.
	host string
	// dial connects to Prometheus.
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	rules   *config.MetricsDiscoveryConfig
	options options
}

// runner is a part that works in the background until stop is closed.
type runner interface{ RunUntil(stop <-chan struct{}) }

// server is one running prometheus-adapter.
type server struct {
	api     *genericapiserver.GenericAPIServer
	runners []runner
}

func newServer(ctx context.Context, p params) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, aggregate.StartTimeout)
	defer cancel()
	asks, err := discovery.NewDiscoveryClientForConfig(p.access)
	if err != nil {
		return nil, fmt.Errorf("make discovery client: %w", err)
	}
	mapper, err := dynamicmapper.NewRESTMapper(asks, p.options.discovery)
	if err != nil {
		return nil, fmt.Errorf("discover resources: %w", err)
	}
	s := &server{runners: []runner{mapper}}
	prometheus := newClient(p.options.prometheus, p.dial)
	customs, err := s.customs(p, mapper, prometheus)
	if err != nil {
		return nil, err
	}
	externals, err := s.externals(p, mapper, prometheus)
	if err != nil {
		return nil, err
	}
	generic, err := aggregate.NewConfig(ctx, aggregate.Options{
		Title: "prometheus-metrics-adapter", Version: "v" + Version, Rest: p.access, Listener: p.listener,
		Hosts:  []string{p.host, "prometheus-adapter"},
		Scheme: apiserver.Scheme, Codecs: apiserver.Codecs,
		Definitions: aggregate.Definitions(core.GetOpenAPIDefinitions, custom.GetOpenAPIDefinitions, external.GetOpenAPIDefinitions),
	})
	if err != nil {
		return nil, err
	}
	made, err := (&apiserver.Config{GenericConfig: generic}).Complete(nil).New("prometheus-metrics-adapter", customs, externals)
	if err != nil {
		return nil, fmt.Errorf("make API server: %w", err)
	}
	s.api = made.GenericAPIServer
	return s, nil
}

// customs answers custom.metrics.k8s.io; without a rule for it, nothing does, as upstream.
func (s *server) customs(p params, mapper meta.RESTMapper, prometheus client.Client) (provider.CustomMetricsProvider, error) {
	if len(p.rules.Rules) == 0 {
		return nil, nil
	}
	namers, err := naming.NamersFromConfig(p.rules.Rules, mapper)
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	objects, err := dynamic.NewForConfig(p.access)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	answers, lister := customprovider.NewPrometheusProvider(mapper, objects, prometheus, namers, p.options.relist, p.options.maxAge)
	s.runners = append(s.runners, lister)
	return answers, nil
}

// externals answers external.metrics.k8s.io; without a rule for it, nothing does, as upstream.
func (s *server) externals(p params, mapper meta.RESTMapper, prometheus client.Client) (provider.ExternalMetricsProvider, error) {
	if len(p.rules.ExternalRules) == 0 {
		return nil, nil
	}
	namers, err := naming.NamersFromConfig(p.rules.ExternalRules, mapper)
	if err != nil {
		return nil, fmt.Errorf("read external rules: %w", err)
	}
	answers, lister := externalprovider.NewExternalPrometheusProvider(prometheus, namers, p.options.relist, p.options.maxAge)
	s.runners = append(s.runners, lister)
	return answers, nil
}

// run follows the metrics and serves until ctx ends.
func (s *server) run(ctx context.Context) error {
	for _, r := range s.runners {
		r.RunUntil(ctx.Done())
	}
	if err := s.api.PrepareRun().RunWithContext(ctx); err != nil {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}
