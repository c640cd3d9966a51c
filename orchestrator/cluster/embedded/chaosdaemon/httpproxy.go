package chaosdaemon

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
)

// proxy stands in front of a pod's HTTP servers and applies rules to what passes. It speaks HTTP/1.1 and, without TLS,
// HTTP/2 with prior knowledge (gRPC); with the pod it speaks what the client spoke.
type proxy struct {
	pod     Pod
	rules   []httpRule
	secure  bool
	server  *http.Server
	conns   chan net.Conn
	done    chan struct{}
	close1  sync.Once
	forward map[int]*httputil.ReverseProxy // by major version of HTTP
	idle    []*http.Transport
}

// portConn remembers which port of the pod a connection was made to, and tells when it is closed.
type portConn struct {
	net.Conn
	port   uint16
	closed chan struct{}
	once   sync.Once
}

func (c *portConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

type portKey struct{}

type originalKey struct{}

func newProxy(pod Pod, rules []httpRule, secure *tls.Config) *proxy {
	p := &proxy{
		pod: pod, rules: rules, secure: secure != nil,
		conns: make(chan net.Conn), done: make(chan struct{}), forward: map[int]*httputil.ReverseProxy{},
	}
	silent := log.New(io.Discard, "", 0)
	for _, major := range []int{1, 2} {
		transport := &http.Transport{DialContext: p.dial, DialTLSContext: p.dialTLS(secure), DisableCompression: true, MaxIdleConnsPerHost: 64}
		transport.Protocols = &http.Protocols{}
		transport.Protocols.SetHTTP1(major == 1)
		transport.Protocols.SetUnencryptedHTTP2(major == 2)
		p.idle = append(p.idle, transport)
		p.forward[major] = &httputil.ReverseProxy{
			Rewrite: p.rewrite, ModifyResponse: p.modifyResponse, ErrorHandler: proxyError,
			Transport: transport, FlushInterval: -1, ErrorLog: silent,
		}
	}
	p.server = &http.Server{
		Handler: p, TLSConfig: secure, ErrorLog: silent, Protocols: &http.Protocols{},
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if t, ok := conn.(*tls.Conn); ok {
				conn = t.NetConn()
			}
			return context.WithValue(ctx, portKey{}, conn.(*portConn).port)
		},
	}
	p.server.Protocols.SetHTTP1(true)
	p.server.Protocols.SetUnencryptedHTTP2(!p.secure)
	go func() {
		if p.secure {
			_ = p.server.ServeTLS(p, "", "") // it ends with close
			return
		}
		_ = p.server.Serve(p) // it ends with close
	}()
	return p
}

// handle takes over one connection of a client, and returns when it is closed.
func (p *proxy) handle(conn net.Conn, port uint16) {
	client := &portConn{Conn: conn, port: port, closed: make(chan struct{})}
	select {
	case p.conns <- client:
		select {
		case <-client.closed:
		case <-p.done:
			_ = client.Close() // an upgraded connection is not the server's any more
		}
	case <-p.done:
		_ = client.Close() // the proxy is gone, the client tries again
	}
}

// close ends the proxy and every connection through it.
func (p *proxy) close() {
	p.close1.Do(func() {
		close(p.done)
		_ = p.server.Close() // nothing is written through it any more
		for _, transport := range p.idle {
			transport.CloseIdleConnections()
		}
	})
}

// Accept, Close and Addr make the proxy the listener of its own server.
func (p *proxy) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *proxy) Close() error { return nil }

func (p *proxy) Addr() net.Addr { return &net.TCPAddr{} }

func (p *proxy) dial(ctx context.Context, _, address string) (net.Conn, error) {
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", address[len("pod:"):])
	if err != nil {
		return nil, err
	}
	return p.pod.DialLocal(ctx, uint16(port))
}

func (p *proxy) dialTLS(secure *tls.Config) func(context.Context, string, string) (net.Conn, error) {
	if secure == nil {
		return nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := p.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		// Without a CA the server is whatever listens in the same pod: there is nobody to tell it from.
		client := tls.Client(conn, &tls.Config{ServerName: "localhost", RootCAs: secure.RootCAs, InsecureSkipVerify: secure.RootCAs == nil, MinVersion: tls.VersionTLS12}) //nolint:gosec // See above.
		if err := client.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return client, nil
	}
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	port, _ := req.Context().Value(portKey{}).(uint16)
	first := original{port: port, path: req.URL.Path, method: req.Method, header: req.Header.Clone()}
	req = req.WithContext(context.WithValue(req.Context(), originalKey{}, first))
	for _, rule := range p.rules {
		if rule.response || !rule.selects(first) {
			continue
		}
		if err := rule.begin(req.Context()); err != nil {
			panic(http.ErrAbortHandler)
		}
		if err := rule.changeRequest(req); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	p.forward[min(max(req.ProtoMajor, 1), 2)].ServeHTTP(w, req)
}

func (p *proxy) rewrite(r *httputil.ProxyRequest) {
	port, _ := r.In.Context().Value(portKey{}).(uint16)
	r.Out.URL.Scheme = "http"
	if p.secure {
		r.Out.URL.Scheme = "https"
	}
	r.Out.URL.Host = (&net.TCPAddr{Port: int(port)}).String()
	r.Out.URL.Host = "pod" + r.Out.URL.Host
	r.Out.Host = r.In.Host
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := r.In.Header[name]; ok {
			r.Out.Header[name] = values // the proxy is transparent
		}
	}
	if _, ok := r.In.Header["User-Agent"]; !ok {
		r.Out.Header.Set("User-Agent", "") // else the transport adds its own
	}
}

func (p *proxy) modifyResponse(resp *http.Response) error {
	first, _ := resp.Request.Context().Value(originalKey{}).(original)
	for _, rule := range p.rules {
		if !rule.response || !rule.selectsResponse(first, resp) {
			continue
		}
		if err := rule.begin(resp.Request.Context()); err != nil {
			return errAbort
		}
		if err := rule.changeResponse(resp); err != nil {
			return err
		}
	}
	return nil
}

func proxyError(w http.ResponseWriter, req *http.Request, err error) {
	if errors.Is(err, errAbort) || req.Context().Err() != nil {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusBadGateway)
}
