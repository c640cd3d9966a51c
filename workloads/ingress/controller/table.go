package controller

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// table says where every request goes. It is not changed once it is served from.
type table struct {
	// sites are the hosts; "" stands for all that are not named.
	sites map[string]*site
	// certificates are those of the hosts with TLS, and fallback is everybody else's.
	certificates map[string]*tls.Certificate
	fallback     *tls.Certificate
}

// site is one host.
type site struct {
	host   string
	secure bool
	routes []*route
	// rest takes what no route matches; it may be nil.
	rest *route
}

// route is one path of a host.
type route struct {
	host, path string
	exact      bool
	// pattern is set for regular expressions. Without it, whole says that only whole path elements match.
	pattern *regexp.Regexp
	whole   bool
	// namespace and ingress say whose route it is.
	namespace, ingress string
	settings           settings
	backend            *backend
}

// match finds the route for a host and path; nil where there is none. A host has routes of its own, or those of its
// wildcard, or those for every host.
func (t *table) match(host, requested string) (*site, *route) {
	s := lookup(t.sites, host)
	if s == nil {
		s = t.sites[""]
	}
	if s == nil {
		return nil, nil
	}
	cleaned := clean(requested)
	for _, r := range s.routes {
		if r.matches(cleaned) {
			return s, r
		}
	}
	if s.rest != nil {
		return s, s.rest
	}
	if all := t.sites[""]; all != nil && all != s {
		return s, all.rest
	}
	return s, nil
}

// lookup finds what is known for a host, or else for the wildcard of its domain: a wildcard stands for one label.
func lookup[T any](known map[string]T, host string) (value T) {
	if v, ok := known[host]; ok && host != "" {
		return v
	}
	if _, domain, ok := strings.Cut(host, "."); ok {
		return known["*."+domain]
	}
	return value
}

// clean is the path as nginx compares it: without . and .. and double slashes.
func clean(p string) string {
	out := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && out != "/" {
		out += "/"
	}
	return out
}

func (r *route) matches(p string) bool {
	switch {
	case r.exact:
		return p == r.path
	case r.pattern != nil:
		return r.pattern.MatchString(p)
	case r.whole:
		prefix := strings.TrimSuffix(r.path, "/")
		return p == prefix || strings.HasPrefix(p, prefix+"/")
	}
	return strings.HasPrefix(p, r.path)
}

// rewritten is the path that the endpoint gets.
func (r *route) rewritten(p string) string {
	if r.settings.rewrite == "" || r.pattern == nil {
		return p
	}
	m := r.pattern.FindStringSubmatchIndex(clean(p))
	if m == nil {
		return p
	}
	return "/" + strings.TrimPrefix(string(r.pattern.ExpandString(nil, dollars(r.settings.rewrite), clean(p), m)), "/")
}

// dollars writes $1 as ${1}: nginx's names of groups are single digits.
func dollars(target string) string {
	return regexp.MustCompile(`\$(\d)`).ReplaceAllString(target, "$${$1}")
}

// rejectedReason is why an Ingress, or a path of it, is not served at all.
const rejectedReason = "Rejected"

// complaint is what is wrong with one Ingress.
type complaint struct {
	ingress *networkingv1.Ingress
	reason  string
	message string
}

// builder makes a table from the objects of a cluster.
type builder struct {
	objects
	table      *table
	complaints []complaint
	backends   map[string]*backend
}

// build makes the table of the given Ingresses, the oldest of which wins where two want the same path.
// What matches no rule at all goes to defaultBackend, a Service as namespace/name; empty means to nobody.
func build(o objects, ingresses []*networkingv1.Ingress, fallback *tls.Certificate, defaultBackend string) (*table, []complaint) {
	b := &builder{objects: o, backends: map[string]*backend{}, table: &table{
		sites: map[string]*site{"": {}}, certificates: map[string]*tls.Certificate{}, fallback: fallback,
	}}
	ingresses = slices.Clone(ingresses)
	slices.SortFunc(ingresses, func(x, y *networkingv1.Ingress) int {
		return cmp.Or(x.CreationTimestamp.Compare(y.CreationTimestamp.Time), cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name))
	})
	for _, ing := range ingresses {
		b.ingress(ing)
	}
	b.everythingElse(defaultBackend)
	for _, s := range b.table.sites {
		// Exact paths come first, then the longest.
		slices.SortStableFunc(s.routes, func(x, y *route) int {
			if x.exact != y.exact {
				if x.exact {
					return -1
				}
				return 1
			}
			return len(y.path) - len(x.path)
		})
	}
	return b.table, b.complaints
}

func (b *builder) complain(ing *networkingv1.Ingress, reason, format string, args ...any) {
	b.complaints = append(b.complaints, complaint{ing, reason, fmt.Sprintf(format, args...)})
}

func (b *builder) site(host string) *site {
	s := b.table.sites[host]
	if s == nil {
		s = &site{host: host}
		b.table.sites[host] = s
	}
	return s
}

func (b *builder) ingress(ing *networkingv1.Ingress) {
	set, err := readSettings(ing)
	if err != nil {
		b.complain(ing, rejectedReason, "%v", err)
		return
	}
	base := route{namespace: ing.Namespace, ingress: ing.Name, settings: set}
	var hosts []string
	for _, rule := range ing.Spec.Rules {
		host := strings.ToLower(rule.Host)
		hosts = append(hosts, host)
		s := b.site(host)
		if rule.HTTP == nil {
			continue
		}
		for _, p := range rule.HTTP.Paths {
			b.path(ing, s, base, p)
		}
	}
	if d := ing.Spec.DefaultBackend; d != nil {
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for _, host := range hosts {
			if s := b.site(host); s.rest == nil {
				r := base
				r.host, r.path, r.backend = host, "/", b.backend(ing.Namespace, d)
				s.rest = &r
			}
		}
	}
	b.tls(ing, hosts)
}

func (b *builder) path(ing *networkingv1.Ingress, s *site, base route, p networkingv1.HTTPIngressPath) {
	r := base
	r.host, r.path, r.backend = s.host, p.Path, b.backend(ing.Namespace, &p.Backend)
	if r.path == "" {
		r.path = "/"
	}
	kind := networkingv1.PathTypeImplementationSpecific
	if p.PathType != nil {
		kind = *p.PathType
	}
	r.exact, r.whole = kind == networkingv1.PathTypeExact, kind == networkingv1.PathTypePrefix
	if base.settings.regex && !r.exact {
		var err error
		if r.pattern, err = regexp.Compile("(?i)^" + r.path); err != nil {
			b.complain(ing, rejectedReason, "path %q: %v", r.path, err)
			return
		}
	}
	if slices.ContainsFunc(s.routes, func(o *route) bool { return o.path == r.path && o.exact == r.exact }) {
		b.complain(ing, rejectedReason, "host %q and path %q are already defined in another ingress", s.host, r.path)
		return
	}
	s.routes = append(s.routes, &r)
}

// tls gives the hosts of an Ingress their certificates. A host whose certificate is not there, or not for it, is served
// with the default one.
func (b *builder) tls(ing *networkingv1.Ingress, hosts []string) {
	for _, section := range ing.Spec.TLS {
		named := section.Hosts
		if len(named) == 0 {
			named = hosts
		}
		for _, host := range named {
			host = strings.ToLower(host)
			if s := b.table.sites[host]; s != nil {
				s.secure = true
			}
			if host == "" || section.SecretName == "" {
				continue
			}
			certificate, err := b.certificate(ing.Namespace, section.SecretName)
			if err != nil {
				b.complain(ing, "SecretNotUsable", "%v: the default certificate is used for %s", err, host)
				continue
			}
			if err := certificate.Leaf.VerifyHostname(host); err != nil && !strings.HasPrefix(host, "*.") {
				b.complain(ing, "SecretNotUsable", "secret %s/%s: %v: the default certificate is used", ing.Namespace, section.SecretName, err)
				continue
			}
			if _, taken := b.table.certificates[host]; !taken {
				b.table.certificates[host] = certificate
			}
		}
	}
}

// everythingElse gives what matches no rule to a Service: to its first port.
func (b *builder) everythingElse(of string) {
	namespace, name, ok := strings.Cut(of, "/")
	if rest := b.table.sites[""].rest; !ok || rest != nil {
		return
	}
	var port int32
	if svc := b.service(namespace, name); svc != nil && len(svc.Spec.Ports) > 0 {
		port = svc.Spec.Ports[0].Port
	}
	b.table.sites[""].rest = &route{path: "/", namespace: namespace, settings: defaults(), backend: b.backend(namespace, &networkingv1.IngressBackend{
		Service: &networkingv1.IngressServiceBackend{Name: name, Port: networkingv1.ServiceBackendPort{Number: port}},
	})}
}
