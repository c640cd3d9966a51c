package existing

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"unicode"

	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
)

// Target says which cluster a provider means.
type Target struct {
	// Context and Cluster are names in the kubeconfig; Server is the address of the API server.
	Context string `json:"context"`
	Cluster string `json:"cluster"`
	Server  string `json:"server"`
}

// String is one line for people.
func (t Target) String() string {
	return fmt.Sprintf("%s: cluster %s at %s", t.Context, t.Cluster, t.Server)
}

// Target reads the kubeconfig and says which cluster is meant. It does not speak to it.
func (p *Provider) Target() (Target, error) {
	a, err := p.access()
	if err != nil {
		return Target{}, err
	}
	return a.target, nil
}

// Describe implements cluster.Describer. Of a kubeconfig that cannot be read it says why.
func (p *Provider) Describe() string {
	t, err := p.Target()
	if err != nil {
		return fmt.Sprintf("context %s: %v", p.Context, err)
	}
	return "context " + t.String()
}

// access is the way to a cluster as its kubeconfig says.
type access struct {
	target Target
	// config has the context as its current one.
	config *clientcmdapi.Config
	rest   *rest.Config
}

// access reads the kubeconfig. A missing name of the context is an error of party usage; what is wrong with the file is infra.
func (p *Provider) access() (*access, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.WarnIfAllMissing = false
	rules.ExplicitPath = p.Kubeconfig
	from := strings.Join(rules.GetLoadingPrecedence(), string(os.PathListSeparator))
	loaded, err := rules.Load()
	if err != nil {
		return nil, errs.Hint(errs.With(errs.Infra, fmt.Errorf("read kubeconfig: %w", err)), "name a file that can be read: --kubeconfig FILE")
	}
	names := slices.Sorted(maps.Keys(loaded.Contexts))
	if len(names) == 0 {
		return nil, errs.Hint(errs.Newf(errs.Infra, "read kubeconfig: there is no context in %s", from), "name the file that has one: --kubeconfig FILE")
	}
	if p.Context == "" {
		return nil, errs.Hint(errs.Newf(errs.Usage, "cluster existing needs a context; the current one is never taken"),
			"add --context NAME; known: %s", strings.Join(names, ", "))
	}
	named, ok := loaded.Contexts[p.Context]
	if !ok {
		unknown := nearest.Unknown("context", p.Context, names)
		return nil, errs.Hint(errs.With(errs.Infra, fmt.Errorf("read kubeconfig %s: %w", from, unknown)), "%s", unknown.Hint())
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*loaded, p.Context, &clientcmd.ConfigOverrides{}, rules).ClientConfig()
	if err != nil {
		return nil, errs.Hint(errs.With(errs.Infra, fmt.Errorf("read context %s of %s: %w", p.Context, from, err)),
			"repair the context: kubectl config view --minify --context %s", p.Context)
	}
	config.QPS, config.Burst = 100, 200
	// Typed clients would speak protobuf, which the guard does not read.
	config.ContentType = apiruntime.ContentTypeJSON
	loaded.CurrentContext = p.Context
	return &access{target: Target{Context: p.Context, Cluster: named.Cluster, Server: config.Host}, config: loaded, rest: config}, nil
}

// write writes a kubeconfig file with this access and nothing else, for its owner only.
func (a *access) write(file string) error {
	config := a.config.DeepCopy()
	if err := clientcmdapi.MinifyConfig(config); err != nil {
		return fmt.Errorf("copy kubeconfig: %w", err)
	}
	if err := clientcmdapi.FlattenConfig(config); err != nil {
		return fmt.Errorf("copy kubeconfig: %w", err)
	}
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

// production is the name by which a target looks like production, or "".
func (t Target) production() string {
	host := t.Server
	if u, err := url.Parse(t.Server); err == nil {
		host = cmp.Or(u.Hostname(), t.Server)
	}
	for _, name := range []string{t.Context, t.Cluster, host} {
		if LooksLikeProduction(name) {
			return name
		}
	}
	return ""
}

// LooksLikeProduction is true for names with prod, prd or live in them; not for product, nor for words such as delivery.
func LooksLikeProduction(name string) bool {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) })
	return slices.ContainsFunc(words, func(word string) bool {
		if word == "live" || strings.Contains(word, "prd") {
			return true
		}
		for _, after := range strings.Split(word, "prod")[1:] {
			if !strings.HasPrefix(after, "uct") || strings.HasPrefix(after, "uction") {
				return true
			}
		}
		return false
	})
}
