// Package kubestate is the program that turns the state of Kubernetes objects into metrics, under the names and labels
// of kube-state-metrics: the part of them that alerts and people use.
package kubestate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/workloads/monitoring/kubeclient"
	"github.com/gameday-bench/gameday/workloads/program"
)

// Image is kube-state-metrics' image.
func Image() program.Image {
	return program.Image{
		Repository: "registry.local/kube-state-metrics/kube-state-metrics", Tags: []string{"v2.17.0"}, User: 65534, Program: Run,
		Ports: []string{"8080/tcp"},
	}
}

// syncTimeout is how long the first lists may take before the program gives up and is restarted.
const syncTimeout = time.Minute

// Run serves /metrics and /healthz until ctx ends. Flags: --port.
func Run(ctx context.Context, sys *program.Sys) error {
	fs := flag.NewFlagSet("kube-state-metrics", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	port := fs.Int("port", 8080, "port to listen on")
	if err := fs.Parse(sys.Args); err != nil {
		return &program.ExitError{Code: 2, Err: fmt.Errorf("read flags: %w", err)}
	}
	if sys.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	cfg, err := kubeclient.Config(sys)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(sys.Stderr, nil))
	collector, err := start(ctx, cfg)
	if err != nil {
		return err
	}
	listener, err := sys.Net.Listen(ctx, "tcp", fmt.Sprintf(":%d", *port))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	log.Info("serving metrics", "address", listener.Addr().String())
	web := &http.Server{Handler: Handler(collector), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stop()
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// start watches the objects with the access of cfg and returns when everything has been listed once.
func start(ctx context.Context, cfg *rest.Config) (*Collector, error) {
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	cfg.UserAgent = "kube-state-metrics/v2.17.0"
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return Watch(ctx, client)
}

// Watch returns a Collector over the live state of client's cluster, which it follows until ctx ends. It returns when
// everything has been listed once, or an error that says what could not be.
func Watch(ctx context.Context, client kubernetes.Interface) (*Collector, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(kubeclient.Slim))
	c := newCollector(factory)
	factory.Start(ctx.Done())
	wait, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	var missing []string
	for kind, ok := range factory.WaitForCacheSync(wait.Done()) {
		if !ok {
			missing = append(missing, kind.String())
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("list objects: no answer for %s", strings.Join(missing, ", "))
	}
	return c, nil
}

// Handler serves the collector's metrics.
func Handler(c *Collector) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		// Not compressed: the reader is in the same cluster, and both sides would pay for it.
		_, _ = c.WriteTo(w)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "OK") })
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "OK") })
	return mux
}
