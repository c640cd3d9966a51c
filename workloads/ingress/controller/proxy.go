package controller

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"
)

// statusClientClosed is nginx's code for a client that did not wait.
const statusClientClosed = 499

// proxy sends requests to endpoints.
type proxy struct {
	transport *http.Transport
	reverse   *httputil.ReverseProxy
}

// exchange is one request on its way.
type exchange struct {
	route  *route
	secure bool
	id     string
	// What became of it.
	upstream string
	err      error
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange {
	e, _ := ctx.Value(exchangeKey{}).(*exchange)
	return e
}

func newProxy(dial func(ctx context.Context, network, address string) (net.Conn, error)) *proxy {
	p := &proxy{}
	p.transport = &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			limit := defaults().connect
			if e := exchangeOf(ctx); e != nil {
				limit = e.route.settings.connect
			}
			ctx, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			return dial(ctx, network, address)
		},
		// As nginx: endpoints are not verified, and connections to them are kept.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true,
		MaxIdleConnsPerHost: 320, IdleConnTimeout: time.Minute,
	}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: rewrite, Transport: p, BufferPool: &buffers{},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			exchangeOf(r.Context()).err = err
			fail(w, statusOf(err))
		},
	}
	return p
}

// buffers are those that bodies are copied with.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return *buf
	}
	return make([]byte, 16<<10)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buf []byte) { b.pool.Put(&buf) }

// statusOf is nginx's answer to a client whose request could not be served.
func statusOf(err error) int {
	var large *http.MaxBytesError
	var timeout net.Error
	switch {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errTimeout), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout
	case errors.Is(err, context.Canceled):
		return statusClientClosed
	}
	return http.StatusBadGateway
}

// rewrite makes the request that an endpoint gets.
func rewrite(pr *httputil.ProxyRequest) {
	e := exchangeOf(pr.In.Context())
	out, in := pr.Out, pr.In
	out.URL.Scheme, out.URL.Host, out.Host = "http", "endpoint.invalid", in.Host
	if e.route.settings.secure {
		out.URL.Scheme = "https"
	}
	if to := e.route.rewritten(in.URL.Path); to != in.URL.Path {
		out.URL.Path, out.URL.RawPath = to, ""
	}
	client, _, err := net.SplitHostPort(in.RemoteAddr)
	if err != nil {
		client = in.RemoteAddr
	}
	scheme, port := "http", "80"
	if e.secure {
		scheme, port = "https", "443"
	}
	for name, value := range map[string]string{
		"X-Request-ID": e.id, "X-Real-IP": client, "X-Forwarded-For": client, "X-Forwarded-Host": in.Host, "X-Forwarded-Port": port,
		"X-Forwarded-Proto": scheme, "X-Forwarded-Scheme": scheme, "X-Scheme": scheme,
	} {
		out.Header.Set(name, value)
	}
	// What clients say about themselves is passed on under a name that nobody trusts.
	if claimed := in.Header.Get("X-Forwarded-For"); claimed != "" {
		out.Header.Set("X-Original-Forwarded-For", claimed)
	}
}

// errTimeout is an endpoint that was silent for too long.
var errTimeout = errors.New("upstream timed out")

// RoundTrip offers a request to the endpoints in turn: to the next one when a connection failed, or when nothing can have
// happened twice.
func (p *proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	e := exchangeOf(r.Context())
	endpoints := e.route.backend.next()
	if e.route.settings.tries > 0 && len(endpoints) > e.route.settings.tries {
		endpoints = endpoints[:e.route.settings.tries]
	}
	var last error
	for _, endpoint := range endpoints {
		e.upstream = endpoint
		resp, err := p.try(r, e, endpoint)
		if err == nil {
			return resp, nil
		}
		if last = err; !again(r, err) {
			break
		}
	}
	return nil, last
}

// again is true when a failed request may be sent to another endpoint.
func again(r *http.Request, err error) bool {
	var op *net.OpError
	if r.Context().Err() != nil {
		return false
	}
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	return (r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions) && (r.Body == nil || r.Body == http.NoBody)
}

// keptOpen is a body that survives a failed try.
type keptOpen struct{ io.Reader }

// Close implements io.Closer.
func (keptOpen) Close() error { return nil }

func (p *proxy) try(r *http.Request, e *exchange, endpoint string) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	limit := e.route.settings.read
	// Connecting has a limit of its own, which comes on top.
	timer := time.AfterFunc(limit+e.route.settings.connect, func() { cancel(errTimeout) })
	r = r.Clone(ctx)
	r.URL.Host = endpoint
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = keptOpen{r.Body}
	}
	resp, err := p.transport.RoundTrip(r)
	if err != nil {
		timer.Stop()
		defer cancel(nil)
		if errors.Is(context.Cause(ctx), errTimeout) {
			return nil, errTimeout
		}
		return nil, err
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		timer.Stop()
		return resp, nil
	}
	timer.Reset(limit)
	resp.Body = &watchedBody{resp.Body, timer, limit, cancel}
	return resp, nil
}

// watchedBody ends a response whose endpoint falls silent.
type watchedBody struct {
	io.ReadCloser
	timer  *time.Timer
	limit  time.Duration
	cancel context.CancelCauseFunc
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.timer.Reset(b.limit)
	return n, err
}

// Close implements io.Closer.
func (b *watchedBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}
