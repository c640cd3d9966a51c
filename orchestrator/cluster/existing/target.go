package existing

import (
	"net/http"
	"strings"
)

// target is what a request to the API server is about.
type target struct {
	method string
	// group, resource, namespace, name and subresource are as in the path; version goes with group.
	group, version, resource, namespace, name, subresource string
}

// parseTarget reads a path below the server's own address. It is false for what is no resource: discovery, versions, health.
func parseTarget(method, path string) (target, bool) {
	t := target{method: method}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		t.version, parts = parts[1], parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		t.group, t.version, parts = parts[1], parts[2], parts[3:]
	default:
		return t, false
	}
	if parts[0] == "watch" && len(parts) > 1 {
		parts = parts[1:]
	}
	// What follows a namespace's name is a resource in it, but for two things of its own.
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		t.namespace, parts = parts[1], parts[2:]
	}
	t.resource = parts[0]
	if len(parts) > 1 {
		t.name = parts[1]
	}
	if len(parts) > 2 {
		t.subresource = parts[2]
	}
	return t, true
}

// acts is true for requests that may change something: writes, and what reaches into pods and nodes by whatever method.
func (t target) acts() bool {
	switch t.subresource {
	case "exec", "attach", "portforward", "proxy":
		return true
	}
	return t.method != http.MethodGet && t.method != http.MethodHead && t.method != http.MethodOptions
}

// asks is true for requests that are sent like writes and only ask: reviews of tokens and rights.
func (t target) asks() bool {
	return t.method == http.MethodPost && (t.group == "authorization.k8s.io" || t.group == "authentication.k8s.io")
}

func (t target) String() string {
	s := t.resource
	if t.group != "" {
		s += "." + t.group
	}
	if t.subresource != "" {
		s += "/" + t.subresource
	}
	if t.name != "" {
		s += " " + t.name
	}
	return s
}
