package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// view is how one response has to be filtered.
type view struct {
	target  target
	rules   Rules
	partial bool
	// includeObject is what a client of tables asked for: None, Metadata or Object.
	includeObject string
}

// response filters what the API server answered. Streams that are not JSON (logs, upgraded connections) pass.
func (v view) response(resp *http.Response) error {
	if resp.StatusCode == http.StatusSwitchingProtocols || v.target.kind == pathOther {
		return nil
	}
	if v.target.kind == pathResource && passThrough[v.target.subresource] {
		return nil
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if v.target.kind == pathResource && resp.StatusCode < http.StatusBadRequest {
			return fmt.Errorf("filter response: unexpected content type %q", resp.Header.Get("Content-Type"))
		}
		return nil
	}
	if v.target.watch && resp.StatusCode == http.StatusOK {
		resp.Header.Del("Content-Length")
		resp.ContentLength = -1
		resp.Body = newWatchFilter(v, resp.Body)
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return fmt.Errorf("read response: %w", err)
	}
	out, hidden, err := v.body(body)
	if err != nil {
		return err
	}
	if hidden {
		resp.StatusCode, resp.Status = http.StatusNotFound, "404 Not Found"
		out = notFound(v.target).encode()
	}
	resp.Body = io.NopCloser(bytes.NewReader(out))
	resp.ContentLength = int64(len(out))
	resp.Header.Set("Content-Length", strconv.Itoa(len(out)))
	return nil
}

// passThrough are subresources whose content is the container's own.
var passThrough = map[string]bool{"log": true, "exec": true, "attach": true, "portforward": true, "proxy": true}

// body filters one JSON document. hidden is true for a single object that may not be seen.
func (v view) body(body []byte) (out []byte, hidden bool, err error) {
	doc, err := decode(body)
	if err != nil {
		return nil, false, fmt.Errorf("decode response: %w", err)
	}
	switch v.target.kind {
	case pathDiscovery:
		v.rules.filterDiscovery(doc)
	case pathOpenAPI:
		v.rules.filterOpenAPI(doc)
	default:
		if !v.object(doc) {
			return nil, true, nil
		}
		if v.partial {
			doc = partialDocument(doc)
		}
	}
	out, err = json.Marshal(doc)
	if err != nil {
		return nil, false, fmt.Errorf("encode response: %w", err)
	}
	return out, false, nil
}

// object filters a list, a table or an object in place; false means that the object itself is hidden.
func (v view) object(doc map[string]any) bool {
	kind := text(doc, "kind")
	switch {
	case kind == "Status":
		return true
	case kind == "Table" && groupOf(text(doc, "apiVersion")) == "meta.k8s.io":
		v.table(doc)
		return true
	case strings.HasSuffix(kind, "List") && doc["items"] != nil:
		items, _ := doc["items"].([]any)
		doc["items"] = slices.DeleteFunc(items, func(it any) bool {
			o, ok := it.(map[string]any)
			return ok && !v.rules.visible(v.target.resource, o)
		})
		delete(object(doc, "metadata"), "remainingItemCount")
		return true
	}
	return v.rules.visible(v.target.resource, doc)
}

// table filters a server-side table. The rows carry whole objects, because that is what the proxy asks for; they are
// reduced to what the client asked for.
func (v view) table(doc map[string]any) {
	rows, _ := doc["rows"].([]any)
	doc["rows"] = slices.DeleteFunc(rows, func(r any) bool {
		row, _ := r.(map[string]any)
		obj := object(row, "object")
		if obj == nil {
			return true
		}
		if !v.rules.visible(v.target.resource, obj) {
			return true
		}
		switch v.includeObject {
		case "Object":
		case "None":
			delete(row, "object")
		default:
			row["object"] = partial(obj)
		}
		return false
	})
	delete(object(doc, "metadata"), "remainingItemCount")
}

// partial reduces an object to its metadata.
func partial(obj map[string]any) map[string]any {
	return map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": obj["metadata"]}
}

// partialDocument reduces an object or a list to metadata.
func partialDocument(doc map[string]any) map[string]any {
	items, isList := doc["items"].([]any)
	if text(doc, "kind") == "Status" {
		return doc
	}
	if !isList {
		return partial(doc)
	}
	for i, it := range items {
		if o, ok := it.(map[string]any); ok {
			items[i] = partial(o)
		}
	}
	return map[string]any{
		"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": doc["metadata"], "items": items,
	}
}

// filterDiscovery removes hidden groups from APIGroupList and from aggregated discovery.
func (r Rules) filterDiscovery(doc map[string]any) {
	if groups, ok := doc["groups"].([]any); ok {
		doc["groups"] = slices.DeleteFunc(groups, func(g any) bool {
			m, _ := g.(map[string]any)
			return r.hiddenGroup(text(m, "name"))
		})
	}
	if items, ok := doc["items"].([]any); ok {
		doc["items"] = slices.DeleteFunc(items, func(g any) bool {
			m, _ := g.(map[string]any)
			return r.hiddenGroup(text(object(m, "metadata"), "name"))
		})
	}
}

// filterOpenAPI removes hidden groups' paths and definitions from OpenAPI v2, and their documents from v3's index. A v3
// document of its own group is refused by path.
func (r Rules) filterOpenAPI(doc map[string]any) {
	drop := func(m map[string]any) {
		for key := range m {
			if r.hiddenPath(key) {
				delete(m, key)
			}
		}
	}
	drop(object(doc, "paths"))
	drop(object(doc, "definitions"))
	drop(object(object(doc, "components"), "schemas"))
}

// hiddenPath knows /apis/<group>/... and definition names, which spell the group backwards (org.chaos-mesh.v1alpha1...).
func (r Rules) hiddenPath(key string) bool {
	for _, group := range r.Groups {
		labels := strings.Split(group, ".")
		slices.Reverse(labels)
		if strings.Contains(key, group) || strings.HasPrefix(key, strings.Join(labels, ".")+".") {
			return true
		}
	}
	return r.hiddenName(key)
}

func decode(body []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	return doc, nil
}
