package dns

import (
	"sync"

	"github.com/coredns/caddy"

	// The plugins that are CoreDNS's own: they touch nothing but the question and the answer.
	_ "github.com/coredns/coredns/plugin/acl"
	_ "github.com/coredns/coredns/plugin/any"
	_ "github.com/coredns/coredns/plugin/autopath"
	_ "github.com/coredns/coredns/plugin/bufsize"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/cancel"
	_ "github.com/coredns/coredns/plugin/debug"
	_ "github.com/coredns/coredns/plugin/dns64"
	_ "github.com/coredns/coredns/plugin/erratic"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/header"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/local"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/metadata"
	_ "github.com/coredns/coredns/plugin/minimal"
	_ "github.com/coredns/coredns/plugin/nsid"
	_ "github.com/coredns/coredns/plugin/rewrite"
	_ "github.com/coredns/coredns/plugin/template"
	_ "github.com/coredns/coredns/plugin/whoami"
)

// native are the names of those plugins.
func native() []string {
	return []string{
		"acl", "any", "autopath", "bufsize", "cache", "cancel", "debug", "dns64", "erratic", "errors", "header", "loadbalance", "local", "log", "metadata",
		"minimal", "nsid", "rewrite", "template", "whoami",
	}
}

// replaced are the plugins that work on the Sys.
func replaced() map[string]caddy.SetupFunc {
	return map[string]caddy.SetupFunc{
		"kubernetes": setupKubernetes, "health": setupHealth, "ready": setupReady, "prometheus": setupPrometheus,
		"forward": setupForward, "hosts": setupHosts, "loop": setupLoop, "reload": setupReload,
	}
}

// registerPlugins offers the plugins to instances without a server type of their own, which is what load makes: so CoreDNS's own plugins of
// the same names, which are registered for its server type, are left out. caddy's registry is a package variable: it is filled once.
var registerPlugins = sync.OnceFunc(func() {
	add := func(name string, setup caddy.SetupFunc) {
		caddy.RegisterPlugin(name, caddy.Plugin{Action: func(c *caddy.Controller) error {
			instanceOf(c).context = c.Context()
			return setup(c)
		}})
	}
	for _, name := range native() {
		setup, err := caddy.DirectiveAction(serverType, name)
		if err != nil {
			panic(err)
		}
		add(name, setup)
	}
	for name, setup := range replaced() {
		add(name, setup)
	}
})
