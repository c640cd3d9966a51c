package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/inventory"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
	"github.com/gameday-bench/gameday/workloads"
)

const (
	// holdWindow is the time over which the user-path objectives must hold, before the fault and after the repair.
	holdWindow = 8 * time.Second
	// settleLimit is how long a repair may take to show after the agent is done. An agent that did not claim a repair gets
	// shortSettle: there is nothing to wait for.
	settleLimit = 40 * time.Second
	shortSettle = 2 * time.Second
	// pollInterval is how often a gate looks.
	pollInterval = 500 * time.Millisecond
)

// measurer reads the telemetry of one cluster.
type measurer interface {
	// Objective measures one objective over the window that ends now.
	Objective(ctx context.Context, slo workloads.SLO, window time.Duration) (evaluator.SLOEvidence, error)
	// Alerts returns the firing alerts, sorted by name.
	Alerts(ctx context.Context) ([]evaluator.AlertEvidence, error)
	// Firing says which alert is firing, with what is known of the reason, or "".
	Firing(ctx context.Context) (string, error)
	// Holds reports whether a PromQL expression returns at least one sample now.
	Holds(ctx context.Context, query string) (bool, error)
}

// boundFault is one fault of a problem with its parameters.
type boundFault struct {
	id    string
	fault faults.Fault
	state map[string]string
}

// environment is one cluster with an application under load: the system under test of one trial. Its methods are the
// phases; they are called in order, one at a time.
type environment struct {
	problem problems.Problem
	draw    problems.Draw
	truth   truth.Truth // complete after the injection; see readRuntime
	app     *workloads.Definition
	lab     *lab
	clock   clock.Clock
	log     *slog.Logger
	// provisioned, when set, is told of the cluster once it is up; its error fails the provisioning.
	provisioned func(cluster.Cluster) error

	cluster cluster.Cluster
	// tenancy is what holds where the cluster is not the trial's alone; nil where it is.
	tenancy    *cluster.Tenancy
	kubernetes kubernetes.Interface
	dynamic    dynamic.Interface
	metrics    measurer
	// machine is where everything runs; nil leaves it out of account.
	machine *machine
	// loadSince is when the load was found running: objectives mean nothing over a window that begins before.
	loadSince time.Time
	// protected are the namespaces of the instruments.
	protected []string
	faults    []boundFault
	baseline  inventory.Inventory
	data      dataBaseline
}

// provision brings up the cluster.
func (e *environment) provision(ctx context.Context) error {
	c, err := e.lab.provider.Up(ctx, e.lab.spec)
	if err != nil {
		return err
	}
	e.cluster, e.tenancy = c, tenancyOf(c)
	config := c.RESTConfig()
	if e.kubernetes, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	if e.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return fmt.Errorf("make dynamic client: %w", err)
	}
	e.metrics = e.lab.measurer(config)
	if e.provisioned != nil {
		return e.provisioned(c)
	}
	return nil
}

// deploy brings up the application with its telemetry, under load.
func (e *environment) deploy(ctx context.Context) error {
	s, err := e.lab.stack(e)
	if err != nil {
		return err
	}
	e.protected = s.Protected()
	if err := s.Deploy(ctx); err != nil {
		return err
	}
	e.loadSince = e.clock.Now()
	return nil
}

// inject makes every fault of the problem live, in order, and fills in what is known only now.
func (e *environment) inject(ctx context.Context) error {
	if err := e.readRuntime(ctx); err != nil {
		return err
	}
	if err := e.bind(); err != nil {
		return err
	}
	for _, f := range e.faults {
		if err := f.fault.Inject(ctx, e.faultEnv(f)); err != nil {
			return fmt.Errorf("inject fault %s: %w", f.id, err)
		}
	}
	return nil
}

// faultEnv is what one fault acts through.
func (e *environment) faultEnv(f boundFault) faults.Env {
	return faults.Env{
		Kubernetes: e.kubernetes, Dynamic: e.dynamic, REST: e.cluster.RESTConfig(),
		Namespace: e.draw["namespace"], ChaosNamespace: e.chaosIn(), State: f.state, Clock: e.clock, Log: e.log,
	}
}

// probe reads every fault's predicate. One that cannot be told counts as live: nobody may score by breaking the probe.
func (e *environment) probe(ctx context.Context) []evaluator.FaultEvidence {
	out := []evaluator.FaultEvidence{}
	for _, f := range e.faults {
		state, err := f.fault.Probe(ctx, e.faultEnv(f))
		if err != nil {
			state = faults.State{Live: true, Detail: "cannot be told: " + err.Error()}
		}
		out = append(out, evaluator.FaultEvidence{ID: f.id, Live: state.Live, Detail: state.Detail})
	}
	return out
}

// recover removes the faults, the last first. It goes on after an error.
func (e *environment) recover(ctx context.Context) error {
	var all []error
	for _, f := range slices.Backward(e.faults) {
		if err := f.fault.Recover(ctx, e.faultEnv(f)); err != nil {
			all = append(all, fmt.Errorf("recover fault %s: %w", f.id, err))
		}
	}
	e.faults = nil
	return errors.Join(all...)
}

// clean takes the cluster down.
func (e *environment) clean(ctx context.Context) error {
	if e.cluster == nil {
		return nil
	}
	return e.cluster.Down(ctx)
}

// namespaces are those of what was deployed for the trial.
func (e *environment) namespaces() []string {
	return append([]string{e.draw["namespace"]}, e.protected...)
}
