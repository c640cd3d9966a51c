// Package controller is the cache operator's program. It makes of every Cache a StatefulSet, a Service and a
// PodDisruptionBudget, and tells in the Cache's status what came of it.
//
// It is built on controller-runtime as operators are: leader election by a Lease, a work queue with growing delays, events, and
// the metrics controller_runtime_reconcile_errors_total, workqueue_depth, leader_election_master_status and so on.
package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/gameday-bench/gameday/workloads/cacheoperator/api/v1alpha1"
	"github.com/gameday-bench/gameday/workloads/monitoring/kubeclient"
	"github.com/gameday-bench/gameday/workloads/program"
)

// Version is the tag of the image.
const Version = "v0.1.0"

// Image is the operator's image.
func Image() program.Image {
	return program.Image{
		Repository: "registry.local/platform/cache-operator", Tags: []string{Version}, Entrypoint: []string{"/manager"}, User: program.NonRoot, Program: Run,
		Ports: []string{"8080/tcp"},
	}
}

// The lease by which one of several operators is chosen, and how long it and what is under way last.
const (
	leaderElectionID = "cache-operator.cache.example.com"
	shutdown         = 5 * time.Second
)

type options struct {
	leaderElect bool
	bind        string
}

func parseOptions(args []string) (options, error) {
	var o options
	f := pflag.NewFlagSet("manager", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&o.leaderElect, "leader-elect", false, "work only while this process holds the lease")
	f.StringVar(&o.bind, "metrics-bind-address", ":8080", "address of /metrics, /healthz and /readyz")
	err := f.Parse(args)
	if err == nil && f.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %s", f.Arg(0))
	}
	if err != nil {
		return o, &program.ExitError{Code: 1, Err: fmt.Errorf("read flags: %w", err)}
	}
	return o, nil
}

// Run reconciles Caches until ctx ends.
func Run(ctx context.Context, sys *program.Sys) error {
	o, err := parseOptions(sys.Args)
	if err != nil {
		return err
	}
	if sys.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	handler := slog.NewJSONHandler(sys.Stderr, nil)
	klog.SetSlogLogger(slog.New(handler))
	ctrl.SetLogger(logr.FromSlogHandler(handler))
	access, err := kubeclient.Config(sys)
	if err != nil {
		return err
	}
	access.UserAgent = "cache-operator/" + Version
	namespace, err := kubeclient.Namespace(sys)
	if err != nil {
		return err
	}
	m, err := newManager(access, namespace, o.leaderElect)
	if err != nil {
		return err
	}
	listener, err := sys.Net.Listen(ctx, "tcp", o.bind)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	web := &http.Server{Handler: status(), ReadHeaderTimeout: time.Minute}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		// It is served until the manager has ended: a pod that works is ready and can be scraped.
		defer web.Close()
		if err := m.Start(ctx); err != nil {
			return fmt.Errorf("run manager: %w", err)
		}
		return nil
	})
	return group.Wait()
}

// status serves /metrics, /healthz and /readyz, on the pod's network.
func status() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{}))
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }
	mux.HandleFunc("GET /healthz", ok)
	mux.HandleFunc("GET /readyz", ok)
	return mux
}

// newManager returns a manager that reconciles Caches once it is started.
func newManager(access *rest.Config, namespace string, leaderElect bool) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register types: %w", err)
		}
	}
	grace := shutdown
	m, err := ctrl.NewManager(access, ctrl.Options{
		Scheme: scheme,
		// Its own servers would listen on the host's network.
		Metrics:        metricsserver.Options{BindAddress: "0"},
		Cache:          cache.Options{DefaultTransform: kubeclient.Slim},
		LeaderElection: leaderElect, LeaderElectionID: leaderElectionID, LeaderElectionNamespace: namespace, LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout: &grace,
	})
	if err != nil {
		return nil, fmt.Errorf("make manager: %w", err)
	}
	r := &Reconciler{Client: m.GetClient(), Scheme: scheme, Events: m.GetEventRecorderFor("cache-operator")}
	return m, r.setUp(m)
}
