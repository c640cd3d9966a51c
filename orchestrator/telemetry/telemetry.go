// Package telemetry reads what a cluster's monitoring stack knows: metrics, alerts and objectives from Prometheus, traces
// and the service graph from the trace store. It goes through the API server's Service proxy, so that it needs nothing but
// access to the cluster.
package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/internal/errs"
)

// The Services of the monitoring stack.
const (
	namespace         = "monitoring"
	prometheusService = "http:prometheus:9090"
	jaegerService     = "http:jaeger:16686"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// Endpoint is an HTTP API behind a base URL.
type Endpoint struct {
	// URL is what the API's paths are appended to, without a slash at its end.
	URL string
	// Transport carries the requests with the credentials they need; nil means http.DefaultTransport.
	Transport http.RoundTripper
}

// Endpoints returns Prometheus and the trace store of the cluster behind config.
func Endpoints(config *rest.Config) (prometheus, jaeger Endpoint, err error) {
	transport, err := rest.TransportFor(config)
	if err != nil {
		return Endpoint{}, Endpoint{}, fmt.Errorf("make transport: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return Endpoint{}, Endpoint{}, fmt.Errorf("read address of the API server: %w", err)
	}
	proxy := func(service string) Endpoint {
		return Endpoint{strings.TrimSuffix(base.String(), "/") + "/api/v1/namespaces/" + namespace + "/services/" + service + "/proxy", transport}
	}
	return proxy(prometheusService), proxy(jaegerService), nil
}

// Client reads the telemetry of one cluster. It is safe for concurrent use.
type Client struct {
	prometheus, jaeger Endpoint
	err                error
}

// New returns the client for the cluster behind config. A config that cannot be used shows at the first call.
func New(config *rest.Config) *Client {
	c := &Client{}
	c.prometheus, c.jaeger, c.err = Endpoints(config)
	return c
}

// NewClient returns a client of a given Prometheus and trace store.
func NewClient(prometheus, jaeger Endpoint) *Client {
	return &Client{prometheus: prometheus, jaeger: jaeger}
}

// get asks e and decodes the data of the answer. Prometheus and Jaeger wrap answers and errors in nearly the same way.
func (c *Client) get(ctx context.Context, e Endpoint, path string, query url.Values, data any) error {
	if c.err != nil {
		return c.err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL+path+"?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	resp, err := (&http.Client{Transport: e.Transport}).Do(req)
	if err != nil {
		return errs.With(errs.Infra, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return errs.With(errs.Infra, fmt.Errorf("read answer: %w", err))
	}
	var answer struct {
		Data   json.RawMessage `json:"data"`
		Error  string          `json:"error"`
		Errors []struct {
			Message string `json:"msg"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return errs.Newf(errs.Infra, "status %d: %s", resp.StatusCode, snippet(body))
	}
	switch {
	case answer.Error != "":
		return errors.New(answer.Error)
	case len(answer.Errors) > 0:
		return errors.New(answer.Errors[0].Message)
	case resp.StatusCode != http.StatusOK:
		return errs.Newf(errs.Infra, "status %d: %s", resp.StatusCode, snippet(body))
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		return errs.With(errs.Infra, fmt.Errorf("decode answer: %w", err))
	}
	return nil
}

func snippet(body []byte) string {
	text := strings.Join(strings.Fields(string(body)), " ")
	return text[:min(len(text), 200)]
}
