package wardle

import (
	"context"
	"fmt"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/admission"
	webhookinit "k8s.io/apiserver/pkg/admission/plugin/webhook/initializer"
	"k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/egressselector"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	basecompatibility "k8s.io/component-base/compatibility"
	"k8s.io/sample-apiserver/pkg/admission/wardleinitializer"
	"k8s.io/sample-apiserver/pkg/apiserver"
	"k8s.io/sample-apiserver/pkg/cmd/server"
	clientset "k8s.io/sample-apiserver/pkg/generated/clientset/versioned"
	wardleinformers "k8s.io/sample-apiserver/pkg/generated/informers/externalversions"
	sampleopenapi "k8s.io/sample-apiserver/pkg/generated/openapi"

	"github.com/gameday-bench/gameday/workloads/monitoring/aggregate"
	"github.com/gameday-bench/gameday/workloads/monitoring/kubeclient"
	"github.com/gameday-bench/gameday/workloads/program"
)

// resync is how often the informers for the cluster's own objects start over, as in the options that are left out here.
const resync = 10 * time.Minute

// configure is what the server's Config does, with sys in the place of the operating system.
func configure(ctx context.Context, sys *program.Sys, o *server.WardleServerOptions) (*apiserver.Config, error) {
	c := genericapiserver.NewRecommendedConfig(apiserver.Codecs)
	describe(c)
	c.FeatureGate = o.ComponentGlobalsRegistry.FeatureGateFor(basecompatibility.DefaultKubeComponent)
	c.EffectiveVersion = o.ComponentGlobalsRegistry.EffectiveVersionFor(apiserver.WardleComponentName)
	serving := o.RecommendedOptions.SecureServing.SecureServingOptions
	if err := useCertificate(sys.Files, serving); err != nil {
		return nil, err
	}
	if err := reachCluster(ctx, sys, o, c); err != nil {
		return nil, err
	}
	if err := listen(ctx, sys.Net, serving); err != nil {
		return nil, err
	}
	if err := o.RecommendedOptions.ApplyTo(c); err != nil {
		return nil, fmt.Errorf("apply options: %w", err)
	}
	return &apiserver.Config{GenericConfig: c}, nil
}

// describe sets what the OpenAPI documents say.
func describe(c *genericapiserver.RecommendedConfig) {
	namer := openapi.NewDefinitionNamer(apiserver.Scheme)
	c.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(sampleopenapi.GetOpenAPIDefinitions, namer)
	c.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(sampleopenapi.GetOpenAPIDefinitions, namer)
	c.OpenAPIConfig.Info.Title, c.OpenAPIConfig.Info.Version = "Wardle", "0.1"
	c.OpenAPIV3Config.Info.Title, c.OpenAPIV3Config.Info.Version = "Wardle", "0.1"
}

// reachCluster gives the server its ways to others, all of them over the pod's network: to the cluster's API server as the pod's
// service account, to etcd, to webhooks, and to itself. The options that would look for the host's are taken out.
func reachCluster(ctx context.Context, sys *program.Sys, o *server.WardleServerOptions, c *genericapiserver.RecommendedConfig) error {
	options, dial := o.RecommendedOptions, utilnet.DialFunc(sys.Net.DialContext)
	options.CoreAPI, options.Authentication, options.Authorization, options.EgressSelector = nil, nil, nil, nil
	c.EgressSelector = egressselector.NewEgressSelectorWithMap(map[egressselector.EgressType]utilnet.DialFunc{
		egressselector.ControlPlane: dial, egressselector.Etcd: dial, egressselector.Cluster: dial,
	})
	options.Etcd.StorageConfig.Transport.EgressLookup = c.EgressSelector.Lookup
	var err error
	if c.ClientConfig, err = kubeclient.Config(sys); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(c.ClientConfig)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	c.SharedInformerFactory = informers.NewSharedInformerFactory(client, resync)
	options.ExtraAdmissionInitializers = func(c *genericapiserver.RecommendedConfig) ([]admission.PluginInitializer, error) {
		// It is asked for when the server knows where it serves, and before the plugins are given what authorizes.
		if err := aggregate.Delegate(ctx, &c.Config, client); err != nil {
			return nil, err
		}
		c.LoopbackClientConfig.Dial = sys.Net.DialContext
		own, err := clientset.NewForConfig(c.LoopbackClientConfig)
		if err != nil {
			return nil, fmt.Errorf("make client of itself: %w", err)
		}
		o.SharedInformerFactory = wardleinformers.NewSharedInformerFactory(own, c.LoopbackClientConfig.Timeout)
		called := webhook.NewDefaultAuthenticationInfoResolverWrapper(nil, c.EgressSelector, c.ClientConfig, c.TracerProvider)
		return []admission.PluginInitializer{
			wardleinitializer.New(o.SharedInformerFactory), webhookinit.NewPluginInitializer(called, webhook.NewDefaultServiceResolver()),
		}, nil
	}
	return nil
}
