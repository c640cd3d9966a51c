package controlplane

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/storage"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// stopTimeout is how long an orderly stop may take. What has not ended by then ends with the process.
const stopTimeout = 700 * time.Millisecond

// startTimeout is how long the control plane may take to become ready, generous for a machine under load.
const startTimeout = 3 * time.Minute

// settleAfter is how long after the start memory is tidied: when the nodes have registered too.
const settleAfter = 2 * time.Second

// ready is the line that tells the parent that the control plane works.
const ready = `{"event":"ready"}` + "\n"

// plane is one run of the control plane.
type plane struct {
	spec *spec.Cluster
	log  *slog.Logger
	// foreign is the logger of the components that are not ours.
	foreign logr.Logger
	// began is when the process's work started; progress is logged relative to it.
	began time.Time
	// failed receives the first component that ended although nobody asked it to.
	failed chan error
}

// Run starts the control plane of c, writes one line of JSON to stdout when it is ready, and serves until ctx is done;
// then it stops within a second and returns nil. A component that fails ends the whole control plane with its error.
//
// Run may be called once per process, and the process should exit when it returns: Kubernetes' components keep state
// and goroutines that nothing can take back.
func Run(ctx context.Context, c *spec.Cluster, stdout io.Writer, log *slog.Logger) error {
	p := &plane{spec: c, log: log, began: time.Now(), failed: make(chan error, 1)}
	p.foreign = configureLogging(log, func(last string) {
		line, _ := json.Marshal(map[string]string{"event": "failed", "error": last})
		_, _ = stdout.Write(append(line, '\n'))
	})
	routeChecks(c) // Before anything that could read what it sets.
	settle := relaxMemory()
	// The components outlive ctx by the orderly stop: etcd has to be closed last.
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()

	etcd, err := p.startEtcd(run)
	if err != nil {
		return err
	}
	// HardStop closes the database without waiting for the clients, who all are in this process.
	defer within(stopTimeout, etcd.Server.HardStop)

	started := make(chan error, 1)
	go func() { started <- p.start(run) }()
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	for {
		select {
		case err := <-started:
			if err != nil {
				return err
			}
			started = nil
			timeout.Stop()
			p.mark("ready")
			if _, err := io.WriteString(stdout, ready); err != nil {
				return fmt.Errorf("report readiness: %w", err)
			}
			time.AfterFunc(settleAfter, settle)
		case err := <-p.failed:
			if ctx.Err() == nil {
				return err
			}
		case <-timeout.C:
			return fmt.Errorf("start the control plane: not ready after %v", startTimeout)
		case <-ctx.Done():
			log.Info("stopping")
			return nil
		}
	}
}

// start brings everything up and returns when the control plane is ready. Order follows need; what does not depend on
// each other starts at the same time.
func (p *plane) start(ctx context.Context) error {
	admin, err := p.adminConfig()
	if err != nil {
		return err
	}
	volumes, err := storage.New(ctx, p.spec, admin, p.log.With("component", "storage"))
	if err != nil {
		return err
	}
	if err := p.startAPIServer(ctx, admin); err != nil {
		return err
	}
	var g errgroup.Group
	for _, part := range []func() error{
		func() error { return p.startControllers(ctx, admin) },
		func() error { return p.startSigners(ctx, admin) },
		func() error { return p.startScheduler(ctx, admin) },
		func() error { return p.startStorage(ctx, admin, volumes) },
		func() error { return p.startChaos(ctx, admin) },
		func() error { return p.applyAddons(ctx, admin) },
		func() error { return p.registerMetrics(ctx, admin) },
		func() error { return p.assignPodCIDRs(ctx, admin) },
		func() error { return p.waitReady(ctx, admin) },
	} {
		g.Go(func() error {
			err := part()
			if err != nil {
				p.fail(err) // At once: the other parts may wait for this one until the start times out.
			}
			return err
		})
	}
	return g.Wait()
}

// fail ends the control plane with err, unless something failed before.
func (p *plane) fail(err error) {
	select {
	case p.failed <- err:
	default: // The first failure is the one to report.
	}
}

// background runs a component that must not end before ctx does.
func (p *plane) background(ctx context.Context, name string, f func() error) {
	go func() {
		err := f()
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("ended unexpectedly")
		}
		p.fail(fmt.Errorf("run %s: %w", name, err))
	}()
}

// mark logs that a stage of the start is reached.
func (p *plane) mark(stage string) {
	p.log.Info("started", "stage", stage, "after", time.Since(p.began).Round(time.Millisecond))
}

// within calls f and waits for it at most d.
func within(d time.Duration, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(d):
	}
}
