package kubectl

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// getter gives one command its access. It stands where kubectl reads kubeconfig files, environment and flags.
type getter struct {
	kubectl *Kubectl
	config  *rest.Config
	// namespace is the value of -n, or nil.
	namespace *string
	warn      func(string)
}

func (g *getter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.config), nil }

func (g *getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.kubectl.discovery, nil
}

func (g *getter) ToRESTMapper() (meta.RESTMapper, error) {
	return restmapper.NewShortcutExpander(g.kubectl.mapper, g.kubectl.discovery, g.warn), nil
}

func (g *getter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	config := clientcmdapi.NewConfig()
	config.Clusters["cluster"] = &clientcmdapi.Cluster{Server: g.config.Host, CertificateAuthorityData: g.config.CAData}
	config.AuthInfos["oncall"] = &clientcmdapi.AuthInfo{Token: g.config.BearerToken}
	config.Contexts["cluster"] = &clientcmdapi.Context{Cluster: "cluster", AuthInfo: "oncall", Namespace: g.kubectl.namespace}
	config.CurrentContext = "cluster"
	overrides := &clientcmd.ConfigOverrides{}
	if g.namespace != nil {
		overrides.Context.Namespace = *g.namespace
	}
	return clientcmd.NewDefaultClientConfig(*config, overrides)
}
