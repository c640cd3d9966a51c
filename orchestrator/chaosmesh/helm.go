package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// configureHelm connects Helm to a cluster. Releases are recorded in Secrets of the namespace, as helm's command does.
func configureHelm(config *rest.Config, namespace string, log *slog.Logger) (*action.Configuration, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("build discovery client: %w", err)
	}
	cached := memory.NewMemCacheClient(client)
	g := &getter{config: config, namespace: namespace, discovery: cached, mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached)}
	cfg := new(action.Configuration)
	if err := cfg.Init(g, namespace, "secret", helmLog(log)); err != nil {
		return nil, fmt.Errorf("configure Helm: %w", err)
	}
	return cfg, nil
}

func helmLog(log *slog.Logger) action.DebugLog {
	return func(format string, v ...any) { log.Debug("helm", "says", fmt.Sprintf(format, v...)) }
}

// getter gives Helm its access. It stands where Helm reads kubeconfig files, environment and flags.
type getter struct {
	config    *rest.Config
	namespace string
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.RESTMapper
}

func (g *getter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.config), nil }

func (g *getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.discovery, nil
}

func (g *getter) ToRESTMapper() (meta.RESTMapper, error) { return g.mapper, nil }

// ToRawKubeConfigLoader is only asked for the namespace: requests use ToRESTConfig.
func (g *getter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	here := &clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: g.namespace}}
	return clientcmd.NewDefaultClientConfig(*clientcmdapi.NewConfig(), here)
}

// installChart installs the chart as a release that is marked as ours. It does not wait for what the chart creates. An install that has
// begun goes on when ctx ends, so that what it made is on record.
func (s *site) installChart(ctx context.Context, ch *chart.Chart, namespace string, values map[string]any) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	cfg, err := s.helm(namespace)
	if err != nil {
		return err
	}
	in := action.NewInstall(cfg)
	in.ReleaseName, in.Namespace = releaseName, namespace
	in.Labels = map[string]string{OwnedLabel: owned}
	// The chart's own definitions are older than the controllers. The API server validates, and needs no client to do it before.
	in.SkipCRDs, in.DisableOpenAPIValidation = true, true
	in.Timeout = s.pace.step
	if _, err := in.RunWithContext(context.WithoutCancel(ctx), ch, values); err != nil {
		return fmt.Errorf("install chart %s %s: %w", ch.Name(), ch.Metadata.Version, err)
	}
	return nil
}

// uninstallChart removes a release, if it is there. It does not wait for what was in it.
func (s *site) uninstallChart(namespace, name string) error {
	cfg, err := s.helm(namespace)
	if err != nil {
		return err
	}
	un := action.NewUninstall(cfg)
	un.IgnoreNotFound = true
	un.Timeout = s.pace.step
	if _, err := un.Run(name); err != nil {
		return fmt.Errorf("uninstall release %s: %w", name, err)
	}
	return nil
}

// releaseIn is the last revision of the release of Chaos Mesh in a namespace; nil where there is none.
func (s *site) releaseIn(namespace string) (*release.Release, error) {
	cfg, err := s.helm(namespace)
	if err != nil {
		return nil, err
	}
	all, err := cfg.Releases.ListReleases()
	if err != nil {
		return nil, fmt.Errorf("list Helm releases in namespace %s: %w", namespace, err)
	}
	var last *release.Release
	for _, r := range all {
		switch {
		case r.Chart == nil || r.Chart.Metadata == nil || r.Chart.Metadata.Name != chartName, r.Info == nil:
		case r.Info.Status == release.StatusUninstalled:
		case last == nil || r.Version > last.Version:
			last = r
		}
	}
	return last, nil
}

// errSeveral is returned where Chaos Mesh was installed more than once.
var errSeveral = errors.New("it is installed more than once, and each undoes what the other does")
