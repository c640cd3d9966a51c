package proxy

import (
	"net/http"
	"strings"
)

// target is what a request is about, after the rules by which the API server reads its paths.
type target struct {
	// kind is the class of path.
	kind pathKind
	// group, version, resource, subresource, namespace and name are set for resources; group for a group's discovery.
	group, version, resource, subresource, namespace, name string
	// watch is true for a request that streams watch events.
	watch bool
}

type pathKind int

const (
	pathOther     pathKind = iota // Version, health.
	pathDiscovery                 // What /api and /apis list, and a group's or version's own discovery.
	pathOpenAPI                   // The two OpenAPI trees.
	pathResource
	pathForbidden // The API server's own metrics, logs, profiles.
)

// namespaceSubresources are what follows a namespace's name without being a resource in it.
var namespaceSubresources = map[string]bool{"status": true, "finalize": true}

func parseTarget(r *http.Request) target {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch parts[0] {
	case "api":
		if len(parts) <= 2 {
			return target{kind: pathDiscovery}
		}
		return parseResource(r, target{kind: pathResource, version: parts[1]}, parts[2:])
	case "apis":
		if len(parts) == 1 {
			return target{kind: pathDiscovery}
		}
		if len(parts) <= 3 {
			return target{kind: pathDiscovery, group: parts[1]}
		}
		return parseResource(r, target{kind: pathResource, group: parts[1], version: parts[2]}, parts[3:])
	case "openapi":
		t := target{kind: pathOpenAPI}
		if len(parts) > 3 && parts[2] == "apis" {
			t.group = parts[3]
		}
		return t
	case "version", "healthz", "livez", "readyz", ".well-known":
		return target{kind: pathOther}
	}
	return target{kind: pathForbidden}
}

func parseResource(r *http.Request, t target, parts []string) target {
	query := r.URL.Query()
	t.watch = r.Method == http.MethodGet && (query.Get("watch") == "true" || query.Get("watch") == "1")
	if parts[0] == "watch" && len(parts) > 1 {
		t.watch = r.Method == http.MethodGet
		parts = parts[1:]
	}
	if parts[0] == "namespaces" && len(parts) > 2 && !namespaceSubresources[parts[2]] {
		t.namespace, parts = parts[1], parts[2:]
	}
	t.resource = parts[0]
	if len(parts) > 1 {
		t.name = parts[1]
	}
	if len(parts) > 2 {
		t.subresource = parts[2]
	}
	return t
}

// mayBeHidden is true for a named resource whose visibility depends on more than its path.
func (t target) mayBeHidden() bool {
	switch t.resource {
	case "events", "customresourcedefinitions", "apiservices", "validatingwebhookconfigurations",
		"mutatingwebhookconfigurations", "clusterroles", "clusterrolebindings", "roles", "rolebindings", "persistentvolumes":
		return true
	}
	return false
}

// accept is what a client wants to be answered with.
type accept struct {
	// header is what is asked of the API server: JSON only.
	header string
	// partial is true for a client that wants metadata only; table for one that wants a server-side table.
	partial, table bool
	// none is true for a client that takes no JSON at all.
	none bool
}

// parseAccept keeps the JSON ranges of an Accept header. Metadata-only ranges become plain JSON (the filter needs the whole
// object and reduces it afterwards).
func parseAccept(header string) accept {
	if strings.TrimSpace(header) == "" {
		return accept{header: "application/json"}
	}
	var a accept
	var kept []string
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		media, _, _ := strings.Cut(part, ";")
		switch strings.TrimSpace(media) {
		case "application/json", "*/*", "application/*", "text/plain", "application/yaml", "text/html":
		default:
			continue
		}
		if media == "application/yaml" || media == "text/html" {
			part = "application/json"
		}
		if strings.Contains(part, "as=PartialObjectMetadata") {
			a.partial = a.partial || !a.table
			part = "application/json"
		}
		if strings.Contains(part, "as=Table") {
			a.table = a.table || !a.partial
		}
		if media == "*/*" || media == "application/*" {
			part = "application/json"
		}
		kept = append(kept, part)
	}
	a.none = len(kept) == 0
	a.header = strings.Join(kept, ", ")
	return a
}
