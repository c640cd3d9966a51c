package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/internal/random"
)

// The paths under which the telemetry APIs are served beside the Kubernetes API.
const (
	PrometheusPath = "/prometheus"
	JaegerPath     = "/jaeger"
)

// Config is what a Server is made from.
type Config struct {
	// Upstream is the access that the proxy uses; Impersonate in it limits what agents may do (see Grant).
	Upstream *rest.Config
	Rules    Rules
	// Prometheus and Jaeger are where the telemetry APIs are; the zero Endpoint answers 503.
	Prometheus, Jaeger Endpoint
	// Log takes the server's own troubles; nil discards them.
	Log *slog.Logger
}

// Server is the filtering proxy of one trial, on loopback with TLS and bearer tokens of its own. Methods are safe for
// concurrent use.
type Server struct {
	url    string
	caPEM  []byte
	token  string
	http   *http.Server
	served chan struct{}

	mu     sync.Mutex
	scopes map[string]context.Context
	closed bool
}

// Start starts a Server. It listens until Close.
func Start(config Config) (*Server, error) {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	kube, err := newKube(config.Upstream, config.Rules)
	if err != nil {
		return nil, err
	}
	cert, caPEM, err := selfSigned()
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	s := &Server{
		url: "https://" + listener.Addr().String(), caPEM: caPEM, token: randomToken(),
		served: make(chan struct{}), scopes: map[string]context.Context{},
	}
	s.scopes[s.token] = context.Background()
	prometheus := http.StripPrefix(PrometheusPath, telemetry{config.Prometheus, config.Rules, prometheusPath})
	jaeger := http.StripPrefix(JaegerPath, telemetry{config.Jaeger, config.Rules, jaegerPath})
	// Not a ServeMux: it would clean paths, which the API server does not.
	route := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, PrometheusPath+"/"):
			prometheus.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, JaegerPath+"/"):
			jaeger.ServeHTTP(w, r)
		default:
			kube.ServeHTTP(w, r)
		}
	}
	s.http = &http.Server{
		Handler:           s.authenticate(http.HandlerFunc(route)),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(config.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.served)
		if err := s.http.ServeTLS(listener, "", ""); err != nil && !errors.Is(err, http.ErrServerClosed) {
			config.Log.Error("agent proxy stopped", "err", err)
		}
	}()
	return s, nil
}

// Close ends the server and every request in it.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	err := s.http.Close()
	<-s.served
	return err
}

// URL is the server's address, for example https://127.0.0.1:34567.
func (s *Server) URL() string { return s.url }

// RESTConfig returns access through the proxy with the trial's own token.
func (s *Server) RESTConfig() *rest.Config { return s.restConfig(s.token) }

func (s *Server) restConfig(token string) *rest.Config {
	return &rest.Config{
		Host: s.url, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: s.caPEM},
		// The server's own limits protect it; client-go's would slow down every command.
		QPS: -1, UserAgent: "kubectl",
	}
}

// Scoped returns access whose requests, streams and upgraded connections all end when ctx ends or end is called.
func (s *Server) Scoped(ctx context.Context) (config *rest.Config, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	token := randomToken()
	s.mu.Lock()
	s.scopes[token] = ctx
	s.mu.Unlock()
	return s.restConfig(token), func() {
		cancel()
		s.mu.Lock()
		delete(s.scopes, token)
		s.mu.Unlock()
	}
}

// authenticate admits requests with a live token and ties them to its scope.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.mu.Lock()
		scope, ok := s.scopes[token]
		s.mu.Unlock()
		if !ok || scope.Err() != nil {
			status(http.StatusUnauthorized, "Unauthorized", "Unauthorized", target{}).write(w)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(scope, cancel)()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func randomToken() string {
	return random.Hex(24)
}
