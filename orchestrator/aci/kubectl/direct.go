package kubectl

import (
	"context"
	"net/http"

	"k8s.io/client-go/rest"
)

// Direct is access to a server that knows no scopes: requests are ended here.
type Direct struct{ Config *rest.Config }

// RESTConfig returns a copy of the configuration.
func (d Direct) RESTConfig() *rest.Config { return rest.CopyConfig(d.Config) }

// Scoped returns a configuration whose requests end when ctx ends or end is called.
func (d Direct) Scoped(ctx context.Context) (config *rest.Config, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	config = d.RESTConfig()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return scoped{ctx, next} })
	return config, cancel
}

// scoped ends requests with a context beyond their own.
type scoped struct {
	ctx  context.Context
	next http.RoundTripper
}

func (s scoped) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	context.AfterFunc(s.ctx, cancel)
	return s.next.RoundTrip(r.WithContext(ctx))
}
