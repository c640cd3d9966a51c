package leak

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
)

// API reads a telemetry API as agents do that bring their own tools: it tells more than the tools of the harness show.
type API func(ctx context.Context, path string, query url.Values) (string, error)

// apiTraces is how many traces of each service are read in full.
const apiTraces = 50

// SearchAPIs looks at what Prometheus tells of itself and its targets, and at all attributes of the spans that Jaeger has.
// The series of Prometheus are Search's.
func SearchAPIs(ctx context.Context, prometheus, jaeger API, v Vocabulary) ([]Finding, error) {
	var found []Finding
	look := func(name string, api API, path string, query url.Values) (string, error) {
		l := Look{Tool: name + " " + path}
		if len(query) > 0 {
			l.Tool += "?" + query.Encode()
		}
		text, err := api(ctx, path, query)
		if err != nil {
			return "", fmt.Errorf("look at %s: %w", l, err)
		}
		for _, shown := range v.Find(text, findingsEach) {
			found = append(found, Finding{l, shown})
		}
		return text, nil
	}
	for _, path := range []string{"targets", "rules", "metadata", "labels", "status/buildinfo"} {
		if _, err := look("Prometheus", prometheus, "/api/v1/"+path, nil); err != nil {
			return nil, err
		}
	}
	list, err := look("Jaeger", jaeger, "/api/services", nil)
	if err != nil {
		return nil, err
	}
	var services struct {
		Data []string `json:"data"`
	}
	if err := json.Unmarshal([]byte(list), &services); err != nil {
		return nil, fmt.Errorf("decode Jaeger's services: %w", err)
	}
	for _, service := range services.Data {
		if _, err := look("Jaeger", jaeger, "/api/services/"+url.PathEscape(service)+"/operations", nil); err != nil {
			return nil, err
		}
		query := url.Values{"service": {service}, "limit": {strconv.Itoa(apiTraces)}, "lookback": {strconv.Itoa(lookback) + "s"}}
		if _, err := look("Jaeger", jaeger, "/api/traces", query); err != nil {
			return nil, err
		}
	}
	return found, nil
}
