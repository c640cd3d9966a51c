package scaleout

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
)

// callTimeout bounds one call of the API server: one that hangs is one that failed.
const callTimeout = 30 * time.Second

// Cluster is the access to the cluster on which the workers run.
type Cluster struct {
	// Context is the name in the kubeconfig, Server the address of the API server.
	Context, Server string
	Client          kubernetes.Interface
	// Proxy returns where an HTTPS Service answers, by way of the API server: a URL without a slash at its end, and what carries the
	// requests.
	Proxy func(namespace, service string, port int32) (base string, transport http.RoundTripper, err error)
}

// Connect reads the kubeconfig; file is "" for the default ones. The context has to be named: the current one is never taken. It
// sends nothing. A context that is not named is an error of party usage; one that is not there, and a file that cannot be read,
// are of party infra.
func Connect(file, name string) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.WarnIfAllMissing = false
	rules.ExplicitPath = file
	loaded, err := rules.Load()
	if err != nil {
		return nil, errs.Hint(errs.With(errs.Infra, fmt.Errorf("read kubeconfig: %w", err)), "name a file that can be read: --kubeconfig FILE")
	}
	from, names := strings.Join(rules.GetLoadingPrecedence(), string(os.PathListSeparator)), slices.Sorted(maps.Keys(loaded.Contexts))
	switch _, known := loaded.Contexts[name]; {
	case len(names) == 0:
		return nil, errs.Hint(errs.Newf(errs.Infra, "read kubeconfig: there is no context in %s", from), "name the file that has one: --kubeconfig FILE")
	case name == "":
		return nil, errs.Hint(errs.Newf(errs.Usage, "executor kubernetes needs a context; the current one is never taken"),
			"add --context NAME; known: %s", strings.Join(names, ", "))
	case !known:
		unknown := nearest.Unknown("context", name, names)
		return nil, errs.Hint(errs.With(errs.Infra, fmt.Errorf("read kubeconfig %s: %w", from, unknown)), "%s", unknown.Hint())
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*loaded, name, &clientcmd.ConfigOverrides{}, rules).ClientConfig()
	if err != nil {
		return nil, errs.Hint(errs.With(errs.Infra, fmt.Errorf("read context %s of %s: %w", name, from, err)),
			"repair the context: kubectl config view --minify --context %s", name)
	}
	return newCluster(name, config)
}

func newCluster(name string, config *rest.Config) (*Cluster, error) {
	calls := rest.CopyConfig(config)
	calls.Timeout, calls.QPS, calls.Burst = callTimeout, 50, 100
	client, err := kubernetes.NewForConfig(calls)
	if err != nil {
		return nil, errs.With(errs.Infra, fmt.Errorf("make client of context %s: %w", name, err))
	}
	return &Cluster{
		Context: name, Server: config.Host, Client: client,
		Proxy: func(namespace, service string, port int32) (string, http.RoundTripper, error) {
			transport, err := rest.TransportFor(config)
			if err != nil {
				return "", nil, fmt.Errorf("make transport: %w", err)
			}
			base, _, err := rest.DefaultServerUrlFor(config)
			if err != nil {
				return "", nil, fmt.Errorf("read address of the API server: %w", err)
			}
			return fmt.Sprintf("%s/api/v1/namespaces/%s/services/https:%s:%d/proxy", strings.TrimSuffix(base.String(), "/"), namespace, service, port), transport, nil
		},
	}, nil
}
