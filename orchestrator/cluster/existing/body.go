package existing

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// readBody reads the whole body of a request and closes it.
func readBody(r *http.Request) ([]byte, error) {
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	return body, nil
}

// withBody returns a copy of a request with another body: a transport may not change the request itself.
func withBody(r *http.Request, body []byte) *http.Request {
	out := r.Clone(r.Context())
	out.Body = io.NopCloser(bytes.NewReader(body))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	out.ContentLength = int64(len(body))
	out.Header.Del("Content-Length") // It goes by the field.
	return out
}

// withLabels sets labels in the body of a write: a whole object, or any kind of patch.
func withLabels(contentType string, body []byte, labels map[string]string) ([]byte, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, fmt.Errorf("read content type %q: %w", contentType, err)
	}
	switch media {
	case "application/json", "application/merge-patch+json", "application/strategic-merge-patch+json":
		return labelObject(body, labels)
	case "application/yaml", "application/apply-patch+yaml":
		converted, err := yaml.YAMLToJSON(body)
		if err != nil {
			return nil, fmt.Errorf("read the body: %w", err)
		}
		return labelObject(converted, labels)
	case "application/json-patch+json":
		return labelJSONPatch(body, labels)
	}
	return nil, fmt.Errorf("its body must be JSON or YAML, not %s", media)
}

// labelObject sets labels in metadata.labels.
func labelObject(body []byte, labels map[string]string) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // Numbers stay as they are written.
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if object == nil {
		return nil, errors.New("its body is empty")
	}
	own := child(child(object, "metadata"), "labels")
	for name, value := range labels {
		own[name] = value
	}
	return json.Marshal(object)
}

// child returns a field that is an object; what is there otherwise is replaced by an empty one.
func child(object map[string]any, field string) map[string]any {
	if found, ok := object[field].(map[string]any); ok && found != nil {
		return found
	}
	made := map[string]any{}
	object[field] = made
	return made
}

// labelJSONPatch appends operations that set labels. An object that is changed has labels: the trial's own.
func labelJSONPatch(body []byte, labels map[string]string) ([]byte, error) {
	var ops []any
	if err := json.Unmarshal(body, &ops); err != nil {
		return nil, fmt.Errorf("read the patch: %w", err)
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	for name, value := range labels {
		ops = append(ops, map[string]any{"op": "add", "path": "/metadata/labels/" + escape.Replace(name), "value": value})
	}
	return json.Marshal(ops)
}

// selected returns the namespaces that the selectors of a chaos object name, sorted.
func selected(doc any) []string {
	var out []string
	var walk func(v any, selector bool)
	walk = func(v any, selector bool) {
		switch v := v.(type) {
		case map[string]any:
			for field, value := range v {
				switch {
				case selector && field == "namespaces":
					names, _ := value.([]any)
					for _, name := range names {
						out = append(out, fmt.Sprint(name))
					}
				case selector && field == "pods":
					byNamespace, _ := value.(map[string]any)
					for name := range byNamespace {
						out = append(out, name)
					}
				default:
					walk(value, field == "selector")
				}
			}
		case []any:
			for _, value := range v {
				walk(value, false)
			}
		}
	}
	walk(doc, false)
	slices.Sort(out)
	return slices.Compact(out)
}
