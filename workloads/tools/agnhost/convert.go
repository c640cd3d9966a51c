package agnhost

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// conversionReview is a ConversionReview of apiextensions.k8s.io.
type conversionReview struct {
	APIVersion string              `json:"apiVersion"`
	Kind       string              `json:"kind"`
	Request    *conversionRequest  `json:"request,omitempty"`
	Response   *conversionResponse `json:"response,omitempty"`
}

type conversionRequest struct {
	UID               string           `json:"uid"`
	DesiredAPIVersion string           `json:"desiredAPIVersion"`
	Objects           []map[string]any `json:"objects"`
}

type conversionResponse struct {
	UID              string           `json:"uid"`
	ConvertedObjects []map[string]any `json:"convertedObjects"`
	Result           responseStatus   `json:"result"`
}

// conversionWebhook converts the example resource of the tests between its versions.
func conversionWebhook(ctx context.Context, a *app, args []string) error {
	f := newFlags("crd-conversion-webhook")
	certFile := f.String("tls-cert-file", "", "certificate")
	keyFile := f.String("tls-private-key-file", "", "private key")
	port := f.Int("port", 443, "port")
	if err := a.parse(f, args); err != nil {
		return err
	}
	config, err := a.keyPair(*certFile, *keyFile)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/crdconvert", a.convert)
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	return a.serve(ctx, *port, mux, config)
}

func (a *app) convert(w http.ResponseWriter, r *http.Request) {
	var in conversionReview
	// Numbers keep their digits: what is not converted has to come back unchanged.
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	if err := d.Decode(&in); err != nil || in.Request == nil {
		http.Error(w, fmt.Sprintf("failed to deserialize body with error %v", err), http.StatusBadRequest)
		return
	}
	answer := &conversionResponse{UID: in.Request.UID, Result: responseStatus{Status: "Success"}}
	for _, o := range in.Request.Objects {
		out, err := convertExample(o, in.Request.DesiredAPIVersion)
		if err != nil {
			answer.ConvertedObjects, answer.Result = nil, responseStatus{Status: "Failure", Message: err.Error()}
			break
		}
		answer.ConvertedObjects = append(answer.ConvertedObjects, out)
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(conversionReview{APIVersion: in.APIVersion, Kind: in.Kind, Response: answer}); err != nil {
		a.log.Printf("write answer: %v", err)
	}
}

// convertExample converts between v1, which has hostPort, and v2, which has host and port.
func convertExample(o map[string]any, to string) (map[string]any, error) {
	const v1, v2 = "stable.example.com/v1", "stable.example.com/v2"
	from, _ := o["apiVersion"].(string)
	out := maps.Clone(o)
	switch {
	case from == to:
		return nil, fmt.Errorf("conversion from a version to itself should not call the webhook: %s", to)
	case from == v1 && to == v2:
		if hostPort, ok := o["hostPort"].(string); ok {
			host, port, found := strings.Cut(hostPort, ":")
			if !found || strings.Contains(port, ":") {
				return nil, fmt.Errorf("invalid hostPort value `%v`", hostPort)
			}
			delete(out, "hostPort")
			out["host"], out["port"] = host, port
		}
	case from == v2 && to == v1:
		host, hasHost := o["host"].(string)
		port, hasPort := o["port"].(string)
		if hasHost || hasPort {
			out["hostPort"] = host + ":" + port
			delete(out, "host")
			delete(out, "port")
		}
	case from == v1, from == v2:
		return nil, fmt.Errorf("unexpected conversion version %q", to)
	default:
		return nil, fmt.Errorf("unexpected conversion version %q", from)
	}
	out["apiVersion"] = to
	return out, nil
}
