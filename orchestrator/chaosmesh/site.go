package chaosmesh

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
)

// site is one cluster as this package works on it.
type site struct {
	o    Options
	kube kubernetes.Interface
	dyn  dynamic.Interface
	// helm is Helm's configuration for a namespace.
	helm  func(namespace string) (*action.Configuration, error)
	clock clock.WithTicker
	log   *slog.Logger
	pace  pace
}

// pace is how often one looks, and how long one waits.
type pace struct {
	poll time.Duration
	// attempt bounds one try to reach the canary. It is longer than a lost packet of the handshake takes to be sent again.
	attempt time.Duration
	// step bounds each step of the canary; definitions, webhooks and gone the waits of their names.
	step, definitions, webhooks, gone time.Duration
	// patience is how long Chaos Mesh may take to recover before it is forced, and recovery how long altogether.
	patience, recovery time.Duration
	// cleanUp bounds what is done after an error or an interruption, and logs the collection of logs then.
	cleanUp, logs time.Duration
}

func steady() pace {
	return pace{
		poll: 500 * time.Millisecond, attempt: 3 * time.Second, step: time.Minute,
		definitions: time.Minute, webhooks: time.Minute, gone: 2 * time.Minute,
		patience: 20 * time.Second, recovery: 40 * time.Second, cleanUp: 4 * time.Minute, logs: 10 * time.Second,
	}
}

// requestLimit bounds one request to the API server, also those that Helm makes, which know no context.
const requestLimit = 30 * time.Second

// connect makes clients of its own for a cluster. o has its defaults.
func connect(config *rest.Config, o Options) (*site, error) {
	own := rest.CopyConfig(config)
	own.Timeout = requestLimit
	// Two dozen definitions are applied at once; the API server has its own ways to slow clients down.
	own.QPS, own.Burst, own.RateLimiter = 100, 200, nil
	own.WarningHandler = rest.NoWarnings{}
	kube, err := kubernetes.NewForConfig(own)
	if err != nil {
		return nil, fmt.Errorf("build client: %w", err)
	}
	dyn, err := dynamic.NewForConfig(own)
	if err != nil {
		return nil, fmt.Errorf("build client: %w", err)
	}
	s := &site{o: o, kube: kube, dyn: dyn, clock: o.Clock, log: o.Log, pace: steady()}
	s.helm = func(namespace string) (*action.Configuration, error) { return configureHelm(own, namespace, o.Log) }
	return s, nil
}

// plan is everything that is found out before something is made.
type plan struct {
	chart   *chart.Chart
	runtime nodeRuntime
	values  map[string]any
}

func (s *site) plan(ctx context.Context) (*plan, error) {
	images, err := parseImages(s.o.Images)
	if err != nil {
		return nil, err
	}
	ch, err := loadChart(ctx, s.o.HTTP, s.o.Chart)
	if err != nil {
		return nil, err
	}
	nodes, err := s.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	rt, err := s.o.runtimeOf(nodes.Items)
	if err != nil {
		return nil, err
	}
	pause := s.o.PauseImage
	if pause == "" {
		pause = pauseImage(nodes.Items)
	}
	return &plan{chart: ch, runtime: rt, values: values(s.o, rt, images, pause)}, nil
}

// until calls check again and again until nothing is pending any more. check returns what is, for the error of a wait that took longer
// than limit; an error of its own ends the wait.
func (s *site) until(ctx context.Context, limit time.Duration, what string, check func(context.Context) (pending string, err error)) error {
	deadline := s.clock.Now().Add(limit)
	ticker := s.clock.NewTicker(s.pace.poll)
	defer ticker.Stop()
	for {
		pending, err := check(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("wait for %s: %w", what, err)
		case pending == "":
			return nil
		case !s.clock.Now().Before(deadline):
			return fmt.Errorf("wait for %s: not within %s: %s", what, limit, pending)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s (%s): %w", what, pending, context.Cause(ctx))
		case <-ticker.C():
		}
	}
}

// again is what a check of until returns for an error that may pass.
func again(err error) (pending string, fatal error) { return err.Error(), nil }
