package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Endpoint is one HTTP API and the way to it.
type Endpoint struct {
	// BaseURL is what the API's paths are appended to: a server's address, or a Service's proxy path on the API server.
	BaseURL string
	// Transport carries the requests and whatever credentials they need; nil means http.DefaultTransport.
	Transport http.RoundTripper
}

var (
	// ErrNoEndpoint is what the zero Endpoint answers.
	ErrNoEndpoint = errors.New("there is no such telemetry in this cluster")
	// ErrTooMuch is an answer that is too long to be filtered.
	ErrTooMuch = fmt.Errorf("the answer is longer than %d MiB: ask for less", maxAnswer>>20)
)

// maxAnswer bounds an answer: it is taken apart in memory, where it needs several times as much.
const maxAnswer = 32 << 20

// Get asks for path (escaped) with query and returns the status code and the whole body.
func (e Endpoint) Get(ctx context.Context, path string, query url.Values) (int, []byte, error) {
	if e.BaseURL == "" {
		return 0, nil, ErrNoEndpoint
	}
	u := strings.TrimSuffix(e.BaseURL, "/") + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	transport := e.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, nil, fmt.Errorf("ask telemetry: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("read telemetry's answer: %w", err)
	case len(body) > maxAnswer:
		return 0, nil, ErrTooMuch
	}
	return resp.StatusCode, body, nil
}

// telemetry is the read-only pass-through to one Endpoint.
type telemetry struct {
	endpoint Endpoint
	rules    Rules
	allowed  func(path string) bool
}

func prometheusPath(path string) bool {
	switch path {
	case "/api/v1/query", "/api/v1/query_range", "/api/v1/series", "/api/v1/labels", "/api/v1/alerts", "/api/v1/rules",
		"/api/v1/metadata", "/api/v1/targets", "/api/v1/status/buildinfo", "/-/healthy", "/-/ready":
		return true
	}
	name, isLabel := strings.CutPrefix(path, labelPath)
	name, isValues := strings.CutSuffix(name, valuesPath)
	return isLabel && isValues && !strings.Contains(name, "/")
}

func jaegerPath(path string) bool {
	if strings.Contains(path, "..") {
		return false // It would be taken for another path on its way.
	}
	return path == "/api/services" || path == "/api/traces" || path == "/api/dependencies" || path == "/api/operations" ||
		strings.HasPrefix(path, "/api/traces/") || strings.HasPrefix(path, "/api/services/")
}

func (t telemetry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !t.allowed(r.URL.Path) || (r.Method != http.MethodGet && r.Method != http.MethodPost) {
		http.Error(w, "403 forbidden", http.StatusForbidden)
		return
	}
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	path, query, err := t.rules.RestrictTelemetry(r.URL.Path, r.Form)
	if err != nil {
		answer{code: http.StatusBadRequest, body: map[string]any{"status": "error", "errorType": "bad_data", "error": err.Error()}}.write(w)
		return
	}
	code, body, err := t.endpoint.Get(r.Context(), (&url.URL{Path: path}).EscapedPath(), query)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// The client is gone when this fails; there is nobody to tell.
	_, _ = w.Write(t.rules.FilterTelemetry(body))
}

// FilterTelemetry removes from a JSON document of Prometheus or Jaeger what is about hidden things: series, alerts, targets,
// metric and label names, services. What is no JSON object passes.
func (r Rules) FilterTelemetry(body []byte) []byte {
	doc, err := decode(body)
	if err != nil {
		return body
	}
	doc, _ = r.telemetryValue(doc).(map[string]any)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return body
	}
	return bytes.TrimSpace(out.Bytes())
}

func (r Rules) telemetryValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			// Samples hold numbers only, and are most of an answer.
			if key == "values" || key == "value" {
				continue
			}
			if r.hiddenName(key) {
				delete(v, key)
				continue
			}
			v[key] = r.telemetryValue(child)
		}
	case []any:
		v = slices.DeleteFunc(v, r.hiddenElement)
		for i := range v {
			v[i] = r.telemetryValue(v[i])
		}
		return v
	}
	return v
}

// hiddenElement judges one element of a list: a name, a label set, or something that carries one.
func (r Rules) hiddenElement(v any) bool {
	switch v := v.(type) {
	case string:
		// It may be the name of anything: Rules.Only says nothing about it.
		return slices.Contains(r.Namespaces, v) || r.hiddenName(v)
	case map[string]any:
		if r.hiddenLabels(v) {
			return true
		}
		for _, field := range []string{"metric", "labels", "discoveredLabels"} {
			if r.hiddenLabels(object(v, field)) {
				return true
			}
		}
	}
	return false
}

// The labels by which a series, an alert, a target or a service is known as hidden: those that hold a namespace, and those that
// hold a name.
var (
	namespaceLabels = []string{"namespace", "exported_namespace", "__meta_kubernetes_namespace"}
	nameLabels      = []string{
		"__name__", "name", "job", "pod", "service", "serviceName", "alertname", "app", "container", "deployment", "instance",
	}
)

func (r Rules) hiddenLabels(labels map[string]any) bool {
	for key, value := range labels {
		s, ok := value.(string)
		if !ok {
			continue
		}
		if slices.Contains(namespaceLabels, key) && r.hiddenNamespace(s) || slices.Contains(nameLabels, key) && r.hiddenName(s) {
			return true
		}
	}
	return false
}
