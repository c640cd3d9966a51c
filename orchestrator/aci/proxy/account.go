package proxy

import (
	"net/http"
	"strings"
)

// accountFields name the service account of a pod; the second is the first one's old name.
var accountFields = []string{"serviceAccountName", "serviceAccount"}

// namesAccount is true for a write that mentions a service account, in whatever kind of patch.
func namesAccount(r *http.Request) bool {
	body, err := readBody(r)
	if err == nil && body != nil {
		setBody(r, body)
	}
	return err != nil || strings.Contains(string(body), "serviceAccount") || strings.Contains(string(body), `\u00`)
}

// sameAccount is true for a write whose service accounts are those that live has: a manifest that is applied again names them. What
// cannot be told is another.
func sameAccount(r *http.Request, live map[string]any) bool {
	doc, ok := readJSON(r)
	if !ok || live == nil {
		return false // A JSON patch is a list; and what is not there yet would be made.
	}
	own := map[string]bool{}
	accounts(live, own)
	named := map[string]bool{}
	accounts(doc, named)
	for name := range named {
		if !own[name] {
			return false
		}
	}
	return true
}

// accounts collects the service accounts that a document names, at any depth.
func accounts(v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for _, field := range accountFields {
			if name, ok := v[field].(string); ok {
				into[name] = true
			}
		}
		for _, child := range v {
			accounts(child, into)
		}
	case []any:
		for _, child := range v {
			accounts(child, into)
		}
	}
}
