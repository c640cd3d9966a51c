package scaleout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
)

// How long things may take. They are times of the executor's clock, but for those of a clean-up.
const (
	// poll is how often the Job, its pods and the store are looked at.
	poll = 2 * time.Second
	// patience is how long the API server may be out of reach before a run is given up. What was gathered stays.
	patience = 5 * time.Minute
	// startPatience is how long there may be no pod that runs: images are pulled, nodes are added. It is longer than the longest pause
	// that the Job controller makes before it replaces a pod that has failed, which is 10 minutes.
	startPatience = 15 * time.Minute
	// storePatience is how long the store may be out of reach before the depot is made anew on another node, or the run given up.
	storePatience = 3 * time.Minute
	// workerGrace is how long a worker has from SIGTERM: its trial is cancelled and cleaned up, and the record is stored.
	workerGrace = 2 * time.Minute
	// overdue is how long after its grace a pod that is still there counts as lost: the kubelet that should have ended it is gone.
	overdue = 30 * time.Second
	// stopTimeout bounds the end of a Job that is stopped, gatherTimeout the last look into the store, and removeTimeout the removal
	// of the namespace.
	stopTimeout   = workerGrace + overdue + 30*time.Second
	gatherTimeout = 2 * time.Minute
	removeTimeout = 3 * time.Minute
)

// maxSessions is how often a Job is made for what the one before it has lost, and maxDepots how many depots a session may use up.
const (
	maxSessions = 3
	maxDepots   = 3
)

// maxTrials is what an Indexed Job with a limit per index can have.
const maxTrials = 100_000

// Resources are what each worker asks for and, of memory, at most gets. There is no limit on processors: a throttled control plane
// would be measured in place of an agent.
type Resources struct {
	CPU    resource.Quantity
	Memory resource.Quantity
}

// DefaultResources fit one embedded cluster with an application under load; see docs/benchmarks.md.
func DefaultResources() Resources {
	return Resources{CPU: resource.MustParse("1"), Memory: resource.MustParse("3Gi")}
}

// Executor implements orchestrator.Executor. Its fields are set once, before the first call; a zero value means the default where
// one is named. One Play goes on at a time.
type Executor struct {
	Cluster *Cluster
	Storage Storage
	// Workers is the number of pods at a time; 0 is one for every node that takes them.
	Workers   int
	Resources Resources
	// Image makes sure that the nodes can have the image of the harness, and returns its reference. It is called for each Job.
	Image func(ctx context.Context) (string, error)
	// Packs are the directories of private packs, in the order of --catalog.
	Packs []string
	// Env are variables that agents want; they get no others.
	Env map[string]string
	// Clock and Log may be nil: real time, no log.
	Clock clock.WithTicker
	Log   *slog.Logger
}

var _ orchestrator.Executor = (*Executor)(nil)

func (e *Executor) withDefaults() *Executor {
	out := *e
	if out.Clock == nil {
		out.Clock = clock.RealClock{}
	}
	if out.Log == nil {
		out.Log = slog.New(slog.DiscardHandler)
	}
	if out.Resources.Memory.IsZero() {
		out.Resources = DefaultResources()
	}
	return &out
}

// arch is what the image of the harness is built for: the executables are those beside this one.
func arch() string { return runtime.GOARCH }

// Play implements orchestrator.Executor. What an earlier process of the same run has left on the cluster is taken over first: its
// tries are gathered, and a Job of it that still runs is followed to its end. What a clean-up cannot remove or gather keeps no trial
// from being played, and is an error of party infra at the end.
func (e *Executor) Play(ctx context.Context, w orchestrator.Work) error {
	e = e.withDefaults()
	if len(w.Trials) > maxTrials {
		return errs.Newf(errs.Usage, "play %d trials: one Job has at most %d; split the scenario", len(w.Trials), maxTrials)
	}
	b, err := newBoard(w, e.Clock)
	if err != nil {
		return err
	}
	err = e.playAll(ctx, b)
	return errors.Join(append([]error{err}, b.left...)...)
}

// playAll plays until every trial has a final record.
func (e *Executor) playAll(ctx context.Context, b *board) error {
	left, err := e.left(ctx, b)
	if err != nil {
		return interruption(ctx, err)
	}
	for _, s := range left {
		if err := s.play(ctx); err != nil {
			return err
		}
	}
	for range maxSessions {
		rest := b.rest()
		if len(rest) == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return interruption(ctx, nil)
		}
		s, err := e.begin(ctx, b, rest)
		if err != nil {
			return interruption(ctx, err)
		}
		if err := s.play(ctx); err != nil {
			return err
		}
	}
	if rest := b.rest(); len(rest) > 0 {
		return errs.Hint(errs.Newf(errs.Infra, "play trials on %s: %d of them came to no end in %d Jobs", e.Cluster.Context, len(rest), maxSessions),
			"see that nodes and storage of the cluster are well, and resume the run")
	}
	return nil
}

// interruption is err, blamed on whoever ended ctx where that was the cause.
func interruption(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	// The failure of the call that was cut off is not worth telling.
	return errs.With(errs.Interrupted, fmt.Errorf("run trials: %w", context.Cause(ctx)))
}
