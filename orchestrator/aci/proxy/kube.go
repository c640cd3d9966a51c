package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"k8s.io/client-go/rest"
)

// kube is the proxy in front of the API server.
type kube struct {
	rules Rules
	// sealed are visible namespaces in which nothing may be run or signed by the agent: cluster components' accounts live there.
	sealed    map[string]bool
	base      *url.URL
	transport http.RoundTripper
	// upgrade speaks HTTP/1.1 only, which connection upgrades need.
	upgrade http.RoundTripper
	reverse *httputil.ReverseProxy
}

type viewKey struct{}

func newKube(config *rest.Config, rules Rules) (*kube, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("read upstream address: %w", err)
	}
	config = rest.CopyConfig(config)
	config.DisableCompression = true
	k := &kube{rules: rules, sealed: map[string]bool{"kube-system": true}, base: base}
	if k.transport, err = rest.TransportFor(config); err != nil {
		return nil, fmt.Errorf("make upstream transport: %w", err)
	}
	config.NextProtos = []string{"http/1.1"}
	if k.upgrade, err = rest.TransportFor(config); err != nil {
		return nil, fmt.Errorf("make upstream transport for upgrades: %w", err)
	}
	k.reverse = &httputil.ReverseProxy{
		Rewrite:       k.rewrite,
		Transport:     k,
		FlushInterval: -1,
		ModifyResponse: func(resp *http.Response) error {
			v, ok := resp.Request.Context().Value(viewKey{}).(view)
			if !ok {
				return fmt.Errorf("filter response: request without a view")
			}
			return v.response(resp)
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			message := "the server is currently unable to handle the request: " + err.Error()
			status(http.StatusServiceUnavailable, "ServiceUnavailable", message, target{}).write(w)
		},
	}
	return k, nil
}

// RoundTrip picks the transport; it makes kube the reverse proxy's Transport.
func (k *kube) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Upgrade") != "" {
		return k.upgrade.RoundTrip(r)
	}
	return k.transport.RoundTrip(r)
}

func (k *kube) rewrite(pr *httputil.ProxyRequest) {
	pr.Out.URL.Scheme, pr.Out.URL.Host = k.base.Scheme, k.base.Host
	pr.Out.URL.Path = strings.TrimSuffix(k.base.Path, "/") + pr.In.URL.Path
	pr.Out.URL.RawPath = ""
	pr.Out.Host = ""
	for _, header := range []string{"Authorization", "Accept-Encoding", "If-None-Match", "If-Modified-Since"} {
		pr.Out.Header.Del(header)
	}
}

// ServeHTTP answers for the API server, or passes on.
func (k *kube) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t := parseTarget(r)
	if strings.Contains(r.URL.Path, "..") || (strings.Contains(r.URL.Path, "//") && t.subresource != "proxy") {
		status(http.StatusBadRequest, "BadRequest", "the path is not canonical", t).write(w)
		return
	}
	if refusal, ok := k.judge(r, t); ok {
		refusal.write(w)
		return
	}
	a := parseAccept(r.Header.Get("Accept"))
	if a.none && r.Header.Get("Upgrade") == "" {
		status(http.StatusNotAcceptable, "NotAcceptable", "only the following media types are accepted: application/json", t).write(w)
		return
	}
	r = r.Clone(r.Context())
	if r.Header.Get("Upgrade") == "" && !passThrough[t.subresource] {
		r.Header.Set("Accept", a.header)
	}
	v := view{target: t, rules: k.rules, partial: a.partial}
	query := r.URL.Query()
	if a.table {
		v.includeObject = query.Get("includeObject")
		query.Set("includeObject", "Object")
	}
	// A page's token names the last object of the page, also one that was filtered out of it: lists come whole.
	query.Del("limit")
	query.Del("continue")
	if k.rules.hiddenSelector(query.Get("labelSelector")) {
		// Nobody carries a label that nobody can see.
		query.Set("labelSelector", "none in (a),none notin (a)")
	}
	r.URL.RawQuery = query.Encode()
	if refusal, ok := k.judgeWrite(r, t); ok {
		refusal.write(w)
		return
	}
	k.reverse.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), viewKey{}, v)))
}

// judge refuses what can be refused by looking at the path.
func (k *kube) judge(r *http.Request, t target) (answer, bool) {
	for header := range r.Header {
		if strings.HasPrefix(header, "Impersonate-") {
			return status(http.StatusForbidden, "Forbidden", "impersonation is not allowed", target{}), true
		}
	}
	if r.Header.Get("Upgrade") != "" && !passThrough[t.subresource] {
		// The API server serves watches over WebSocket, too, which no filter would see.
		return status(http.StatusBadRequest, "BadRequest", "a connection is upgraded for exec, attach, portforward and proxy only", t), true
	}
	switch {
	case t.kind == pathForbidden:
		message := fmt.Sprintf("forbidden: cannot %s path %q", strings.ToLower(r.Method), r.URL.Path)
		return status(http.StatusForbidden, "Forbidden", message, target{}), true
	case k.rules.hiddenGroup(t.group):
		return noSuchPath(), true
	case t.kind != pathResource:
		return answer{}, false
	}
	do := verb(r.Method, t)
	if t.resource == "namespaces" && k.rules.hiddenNamespace(t.name) {
		return notFound(t), true
	}
	if k.rules.hiddenNamespace(t.namespace) {
		switch do {
		case "list", "watch": // Passed on: the filter leaves nothing of it.
			return answer{}, false
		case "create":
			if t.name == "" {
				return notFound(target{resource: "namespaces", name: t.namespace}), true
			}
		case "deletecollection":
			return success(), true
		}
		return notFound(t), true
	}
	if t.name != "" && k.rules.hiddenName(t.name) {
		return notFound(t), true
	}
	if t.resource == "nodes" && (t.subresource == "proxy" || t.subresource == "log") {
		return forbidden(t, do, "access to kubelets is not granted"), true
	}
	if k.sealed[t.namespace] && t.isSealed(do) {
		return forbidden(t, do, "cluster components may be looked at and configured only"), true
	}
	return answer{}, false
}

// isSealed is true for what would let an agent act with a cluster component's rights, past this proxy.
func (t target) isSealed(do string) bool {
	switch t.resource + "/" + t.subresource {
	case "serviceaccounts/token", "pods/exec", "pods/attach", "pods/ephemeralcontainers":
		return true
	case "pods/", "secrets/", "serviceaccounts/", "rolebindings/", "roles/":
		return writes(do)
	case "deployments/", "statefulsets/", "daemonsets/", "replicasets/", "jobs/", "cronjobs/", "replicationcontrollers/":
		return do == "create"
	}
	return false
}

// writes is true for verbs that make an object or change it. A patch may make one: it is how server-side apply does.
func writes(do string) bool { return do == "create" || do == "update" || do == "patch" }

// judgeWrite refuses writes for which the object has to be looked at, and completes updates.
func (k *kube) judgeWrite(r *http.Request, t target) (answer, bool) {
	do := verb(r.Method, t)
	if do == "get" || do == "list" || do == "watch" || t.kind != pathResource {
		return answer{}, false
	}
	if err := toJSON(r); err != nil {
		return status(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "the body must be JSON: "+err.Error(), t), true
	}
	if do == "deletecollection" && t.namespace == "" && (t.mayBeHidden() || t.resource == "namespaces") {
		return forbidden(t, do, "delete them by name"), true
	}
	if do == "create" && t.name == "" {
		return k.judgeCreate(r, t)
	}
	restore := do == "update" && t.subresource == ""
	account := k.sealed[t.namespace] && writes(do) && t.subresource == "" && namesAccount(r)
	if !t.mayBeHidden() && !restore && !account {
		return answer{}, false
	}
	live, ok := k.get(r, t)
	if account && !sameAccount(r, live) {
		return forbidden(t, do, "cluster components keep their service accounts"), true
	}
	if !ok {
		return answer{}, false
	}
	if restore {
		k.completeUpdate(r, live)
	}
	if t.mayBeHidden() && !k.rules.visible(t.resource, live) {
		return notFound(t), true
	}
	return answer{}, false
}

// judgeCreate refuses to create what is hidden: the API server would answer that it already exists.
func (k *kube) judgeCreate(r *http.Request, t target) (answer, bool) {
	doc, ok := readJSON(r)
	if !ok {
		return answer{}, false
	}
	named := target{group: t.group, resource: t.resource, name: text(object(doc, "metadata"), "name")}
	if k.rules.hiddenName(named.name) || (t.resource == "namespaces" && k.rules.hiddenNamespace(named.name)) {
		return forbidden(named, "create", "the name is reserved"), true
	}
	return answer{}, false
}

// completeUpdate puts the hidden labels and annotations back into the body of a PUT.
func (k *kube) completeUpdate(r *http.Request, live map[string]any) {
	doc, ok := readJSON(r)
	if !ok {
		return
	}
	k.rules.restore(doc, live)
	body, err := json.Marshal(doc)
	if err != nil {
		return
	}
	setBody(r, body)
}

// get reads the live object behind a request, with the proxy's own access.
func (k *kube) get(r *http.Request, t target) (map[string]any, bool) {
	u := *k.base
	path := r.URL.Path
	if t.subresource != "" {
		path = path[:strings.LastIndex(path, "/"+t.subresource)]
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, false
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.transport.RoundTrip(req)
	if err != nil {
		return nil, false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, false
	}
	doc, err := decode(body)
	return doc, err == nil
}
