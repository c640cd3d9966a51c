// Package controller is an ingress controller: the program that serves a cluster's Ingresses.
//
// It watches Ingresses, their classes, Services, EndpointSlices and Secrets, and proxies HTTP and HTTPS to the endpoints
// themselves, as ingress-nginx does. Flags, annotations, answers, metrics and events are ingress-nginx's as far as they are
// here; the server is Go's, so there is no nginx.conf, and no snippets.
package controller

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/monitoring/kubeclient"
	"github.com/gameday-bench/gameday/workloads/program"
)

// Version is the release of ingress-nginx whose behaviour is followed, and the tag of the image.
const Version = "v1.13.3"

// Image is the controller's image.
func Image() program.Image {
	return program.Image{
		Repository: "registry.local/ingress-nginx/controller", Tags: []string{Version}, Entrypoint: []string{"/nginx-ingress-controller"}, Program: Run,
		Ports: []string{"80/tcp", "443/tcp", "10254/tcp"},
	}
}

// identity is how the controller is known.
type identity struct{ Class, Namespace, Pod string }

// Options are what a Controller is made of.
type Options struct {
	// Client reaches the API server.
	Client kubernetes.Interface
	// Dial opens connections to endpoints.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// ControllerClass is the controller that IngressClasses name; Class is the name that the old annotation gives.
	ControllerClass, Class string
	// WithoutClass serves Ingresses that name no class, too.
	WithoutClass bool
	// WatchNamespace limits the controller to one namespace; empty means all.
	WatchNamespace string
	// PublishService is the Service, as namespace/name, whose address goes into the status of Ingresses; empty means none.
	PublishService string
	// DefaultBackend is the Service, as namespace/name, that gets what nobody else does, and DefaultCertificate the Secret
	// of the default certificate; empty means none.
	DefaultBackend, DefaultCertificate string
	// Namespace and Pod say where the controller runs, for its metrics.
	Namespace, Pod string
	// AccessLog takes a line per request.
	AccessLog io.Writer
	Log       *slog.Logger
	Clock     clock.WithTicker
}

// Controller serves Ingresses. Watch brings it to life; its handlers may be used from then on, concurrently.
type Controller struct {
	Options
	table    atomic.Pointer[table]
	metrics  *metrics
	proxy    *proxy
	store    *store
	fallback *tls.Certificate
	events   record.EventRecorder
	// told are the complaints that Ingresses have had an event about.
	told map[string]bool
}

// New returns a controller that knows nothing yet: every request is answered with 404.
func New(o Options) (*Controller, error) {
	fallback, err := selfSigned(o.Clock.Now())
	if err != nil {
		return nil, err
	}
	c := &Controller{Options: o, metrics: newMetrics(identity{o.ControllerClass, o.Namespace, o.Pod}), fallback: fallback, told: map[string]bool{}}
	c.table.Store(&table{fallback: fallback})
	c.proxy = newProxy(o.Dial)
	return c, nil
}

// Handler serves HTTP or, with secure, what came over HTTPS.
func (c *Controller) Handler(secure bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, secure) })
}

// TLS is the configuration of the HTTPS server.
func (c *Controller) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.getCertificate}
}

// Status serves /healthz and /metrics.
func (c *Controller) Status() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	return mux
}

// options are the command line.
type options struct {
	Options
	http, https, healthz int
}

func parseOptions(args []string) (options, error) {
	var o options
	f := pflag.NewFlagSet("nginx-ingress-controller", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.ControllerClass, "controller-class", "k8s.io/ingress-nginx", "controller that IngressClasses name")
	f.StringVar(&o.Class, "ingress-class", "nginx", "class that the annotation kubernetes.io/ingress.class names")
	f.BoolVar(&o.WithoutClass, "watch-ingress-without-class", false, "serve Ingresses without a class")
	f.StringVar(&o.WatchNamespace, "watch-namespace", "", "namespace to watch; all by default")
	f.StringVar(&o.PublishService, "publish-service", "", "Service whose address goes into the status of Ingresses")
	f.StringVar(&o.DefaultBackend, "default-backend-service", "", "Service for what matches no rule")
	f.StringVar(&o.DefaultCertificate, "default-ssl-certificate", "", "Secret of the default certificate")
	f.IntVar(&o.http, "http-port", 80, "port of HTTP")
	f.IntVar(&o.https, "https-port", 443, "port of HTTPS")
	f.IntVar(&o.healthz, "healthz-port", 10254, "port of /healthz and /metrics")
	err := f.Parse(args)
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %s", f.Arg(0))
	}
	if err != nil {
		return o, &program.ExitError{Code: 1, Err: fmt.Errorf("read flags: %w", err)}
	}
	return o, nil
}

// Run serves Ingresses until ctx ends.
func Run(ctx context.Context, sys *program.Sys) error {
	o, err := parseOptions(sys.Args)
	if err != nil {
		return err
	}
	if sys.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	log := slog.New(slog.NewTextHandler(sys.Stderr, nil))
	klog.SetSlogLogger(log)
	access, err := kubeclient.Config(sys)
	if err != nil {
		return err
	}
	access.UserAgent, access.ContentType = "nginx-ingress-controller/"+Version, "application/vnd.kubernetes.protobuf"
	if o.Client, err = kubernetes.NewForConfig(access); err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	o.Dial, o.AccessLog, o.Log, o.Clock = sys.Net.DialContext, sys.Stdout, log, sys.Clock
	o.Namespace, o.Pod = sys.Getenv("POD_NAMESPACE"), sys.Hostname
	c, err := New(o.Options)
	if err != nil {
		return err
	}
	if err := c.Watch(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range []struct {
		port    int
		handler http.Handler
		tls     *tls.Config
	}{{o.http, c.Handler(false), nil}, {o.https, c.Handler(true), c.TLS()}, {o.healthz, c.Status(), nil}} {
		listener, err := sys.Net.Listen(ctx, "tcp", fmt.Sprintf(":%d", s.port))
		if err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		group.Go(func() error { return serve(ctx, listener, s.handler, s.tls, log) })
	}
	log.Info("serving ingresses", "class", o.ControllerClass, "version", Version)
	return group.Wait()
}

// drain is how long requests under way may take when the controller is told to end.
const drain = 10 * time.Second

// serve serves until ctx ends, and then what is under way.
func serve(ctx context.Context, l net.Listener, h http.Handler, secure *tls.Config, log *slog.Logger) error {
	web := &http.Server{
		Handler: h, TLSConfig: secure, ReadHeaderTimeout: time.Minute, IdleTimeout: 75 * time.Second,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelInfo),
	}
	ended := make(chan error, 1)
	go func() {
		if secure != nil {
			ended <- web.ServeTLS(l, "", "")
		} else {
			ended <- web.Serve(l)
		}
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := web.Shutdown(last); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop serving: %w", err)
	}
	return nil
}
