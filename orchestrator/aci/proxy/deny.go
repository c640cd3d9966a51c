package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// answer is what the proxy says itself, in the words of an API server.
type answer struct {
	code int
	body any
	// plain is set instead of body for answers that are no Status.
	plain string
}

func (a answer) encode() []byte {
	if a.plain != "" {
		return []byte(a.plain)
	}
	out, err := json.Marshal(a.body)
	if err != nil {
		return []byte(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure"}`)
	}
	return append(out, '\n')
}

func (a answer) write(w http.ResponseWriter) {
	contentType := "application/json"
	if a.plain != "" {
		contentType = "text/plain; charset=utf-8"
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(a.code)
	// The client is gone when this fails; there is nobody to tell.
	_, _ = w.Write(a.encode())
}

func status(code int, reason, message string, t target) answer {
	details := map[string]any{}
	if t.name != "" {
		details["name"] = t.name
	}
	if t.group != "" {
		details["group"] = t.group
	}
	if t.resource != "" {
		details["kind"] = t.resource
	}
	return answer{code: code, body: map[string]any{
		"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure",
		"message": message, "reason": reason, "details": details, "code": code,
	}}
}

func (t target) qualified() string {
	if t.group == "" {
		return t.resource
	}
	return t.resource + "." + t.group
}

func notFound(t target) answer {
	return status(http.StatusNotFound, "NotFound", fmt.Sprintf("%s %q not found", t.qualified(), t.name), t)
}

func forbidden(t target, verb, why string) answer {
	what := t.qualified()
	if t.subresource != "" {
		what += "/" + t.subresource
	}
	message := fmt.Sprintf("%s is forbidden: cannot %s resource %q in API group %q: %s",
		strings.TrimSpace(t.qualified()+" "+quoted(t.name)), verb, what, t.group, why)
	return status(http.StatusForbidden, "Forbidden", message, t)
}

func quoted(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("%q", name)
}

// noSuchPath is how an API server answers for a group that it does not serve.
func noSuchPath() answer { return answer{code: http.StatusNotFound, plain: "404 page not found\n"} }

func success() answer {
	return answer{code: http.StatusOK, body: map[string]any{
		"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Success",
	}}
}

// verb names what a request does, as RBAC does.
func verb(method string, t target) string {
	switch method {
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if t.name == "" {
			return "deletecollection"
		}
		return "delete"
	}
	switch {
	case t.watch:
		return "watch"
	case t.name == "":
		return "list"
	}
	return "get"
}
