package controlplane

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/pflag"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/server/egressselector"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	apiapp "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/controlplane"
	kubeapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"
	generatedopenapi "k8s.io/kubernetes/pkg/generated/openapi"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/egress"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/flags"
)

// advertisedPort is the API server's port on the userspace network. Every node forwards it to the real one.
const advertisedPort = 6443

// poll is how often a condition is looked at during the start.
const poll = 25 * time.Millisecond

// waitTimeout is how long the start waits for any one condition. It ends before the start as a whole does, so that the
// error names the condition.
const waitTimeout = startTimeout - 30*time.Second

// startAPIServer starts kube-apiserver and returns when it answers requests, before it is ready.
func (p *plane) startAPIServer(ctx context.Context, admin *rest.Config) error {
	server, err := p.buildAPIServer(ctx)
	if err != nil {
		return fmt.Errorf("build kube-apiserver: %w", err)
	}
	p.mark("apiserver built")
	prepared, err := server()
	if err != nil {
		return fmt.Errorf("prepare kube-apiserver: %w", err)
	}
	p.background(ctx, "kube-apiserver", func() error { return prepared(ctx) })
	if err := waitPath(ctx, admin, "/version"); err != nil {
		return err
	}
	p.mark("apiserver serves")
	return nil
}

// buildAPIServer does what kube-apiserver's command does up to the point of serving.
func (p *plane) buildAPIServer(ctx context.Context) (func() (func(context.Context) error, error), error) {
	// Loopback clients should not log warnings about the server's own deprecated APIs.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	s := options.NewServerRunOptions()
	fs := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	named := s.Flags()
	for _, set := range named.FlagSets {
		fs.AddFlagSet(set)
	}
	if err := fs.Parse(flags.APIServer(p.spec)); err != nil {
		return nil, fmt.Errorf("parse flags: %w", err)
	}
	if err := s.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	completed, err := s.Complete(ctx)
	if err != nil {
		return nil, fmt.Errorf("complete options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("validate options: %w", utilerrors.NewAggregate(errs))
	}
	config, err := p.configureAPIServer(completed)
	if err != nil {
		return nil, err
	}
	// The kubernetes Service's endpoint gets its port from the listener. From inside the cluster the API server is
	// not at the host's port but at the well-known one. The loopback client has the real port already.
	generic := config.KubeAPIs.ControlPlane.Generic
	generic.SecureServing.Listener = advertised{generic.SecureServing.Listener}
	complete, err := config.Complete()
	if err != nil {
		return nil, err
	}
	chain, err := apiapp.CreateServerChain(complete)
	if err != nil {
		return nil, err
	}
	return func() (func(context.Context) error, error) {
		prepared, err := chain.PrepareRun()
		if err != nil {
			return nil, err
		}
		return prepared.Run, nil
	}, nil
}

// configureAPIServer is what the command's NewConfig does, with one thing in the middle: connections into the cluster
// are made by our dialer. An egress configuration file could only name a proxy, and the proxy's address would be in
// every error message.
func (p *plane) configureAPIServer(opts options.CompletedOptions) (*apiapp.Config, error) {
	generic, informers, storage, err := kubeapiserver.BuildGenericConfig(opts.CompletedOptions,
		[]*runtime.Scheme{legacyscheme.Scheme, apiextensions.Scheme, aggregatorscheme.Scheme},
		controlplane.DefaultAPIResourceConfigSource(), generatedopenapi.GetOpenAPIDefinitions)
	if err != nil {
		return nil, err
	}
	generic.EgressSelector = egressselector.NewEgressSelectorWithMap(map[egressselector.EgressType]utilnet.DialFunc{
		egressselector.Cluster: egress.NewDialer(p.spec).DialContext,
	})
	generic.RESTOptionsGetter = together{generic.RESTOptionsGetter}
	if err := freezeServing(generic); err != nil {
		return nil, err
	}
	kube, resolver, initializers, err := apiapp.CreateKubeAPIServerConfig(opts, generic, informers, storage)
	if err != nil {
		return nil, err
	}
	if err := freezeTrust(&kube.ControlPlane); err != nil {
		return nil, err
	}
	c := kube.ControlPlane
	extensions, err := kubeapiserver.CreateAPIExtensionsConfig(*c.Generic, c.VersionedInformers, initializers,
		opts.CompletedOptions, opts.MasterCount, resolver, webhook.NewDefaultAuthenticationInfoResolverWrapper(
			c.ProxyTransport, c.Generic.EgressSelector, c.Generic.LoopbackClientConfig, c.Generic.TracerProvider))
	if err != nil {
		return nil, err
	}
	extensions.GenericConfig.RESTOptionsGetter = together{extensions.GenericConfig.RESTOptionsGetter}
	extensions.ExtraConfig.CRDRESTOptionsGetter = together{extensions.ExtraConfig.CRDRESTOptionsGetter}
	aggregator, err := kubeapiserver.CreateAggregatorConfig(*c.Generic, opts.CompletedOptions, c.VersionedInformers,
		resolver, c.ProxyTransport, c.Extra.PeerProxy, initializers)
	if err != nil {
		return nil, err
	}
	aggregator.GenericConfig.RESTOptionsGetter = together{aggregator.GenericConfig.RESTOptionsGetter}
	return &apiapp.Config{Options: opts, KubeAPIs: kube, ApiExtensions: extensions, Aggregator: aggregator}, nil
}

// advertised is a listener that gives the port that the cluster sees as its own.
type advertised struct{ net.Listener }

func (a advertised) Addr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: advertisedPort}
}

// adminConfig is the client configuration of the control plane's own work.
func (p *plane) adminConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", p.spec.Kubeconfig("admin"))
	if err != nil {
		return nil, fmt.Errorf("read admin kubeconfig: %w", err)
	}
	config.QPS, config.Burst = flags.InternalQPS, flags.InternalBurst
	config.UserAgent = "gameday-cluster"
	return config, nil
}

// waitPath waits until a GET of path succeeds.
func waitPath(ctx context.Context, config *rest.Config, path string) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	return until(ctx, "GET "+path, func(ctx context.Context) error {
		_, err := impatient(client.Discovery().RESTClient().Get().AbsPath(path)).DoRaw(ctx)
		return err
	})
}

// impatient makes a request fail where the server asks to come again later. Until all of its paths are there an API server answers
// 503 and asks for 5 s, which clients wait without a word; until asks again much sooner.
func impatient(r *rest.Request) *rest.Request { return r.MaxRetries(0) }

// until calls f until it returns nil, at most for waitTimeout. The error says what f last said.
func until(ctx context.Context, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, waitTimeout)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; last: %w", what, context.Cause(ctx), err)
		}
	}
}
