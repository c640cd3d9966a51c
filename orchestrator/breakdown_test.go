package orchestrator

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/results"
)

// fragile is a cluster of which only the breakdown is real.
type fragile struct {
	cluster.Cluster
	done chan struct{}
	err  error
}

func (f *fragile) Done() <-chan struct{} { return f.done }

func (f *fragile) Err() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}

func (*fragile) RESTConfig() *rest.Config { return &rest.Config{} }

func broken(t *testing.T) (*trial, *fragile, *[]Event) {
	t.Helper()
	c := &fragile{done: make(chan struct{}), err: errs.Hint(errs.Newf(errs.Infra, "run node-1: process 7 ended (signal: killed)"), "the last words of node-1: x")}
	var events []Event
	return &trial{
		env: &environment{cluster: c},
		phases: &phases{
			trial: "p/a/1", observer: ObserverFunc(func(e Event) { events = append(events, e) }), factor: 1, now: time.Now,
			took: map[Phase]float64{}, last: Deploy,
		},
	}, c, &events
}

func TestBreakdownIsBlamedOnTheProcessThatDied(t *testing.T) {
	t.Parallel()
	for _, status := range []results.Status{results.InfraError, results.FaultNotLive} {
		tr, c, _ := broken(t)
		// The step fails before the cluster has noticed.
		go close(c.done)
		out := tr.blameCluster(outcome{status: status, err: errors.New("connection refused")})
		require.Equal(t, results.InfraError, out.status)
		require.ErrorContains(t, out.err, "deploy: cluster broke down: run node-1: process 7 ended (signal: killed)")
		require.Equal(t, errs.Infra, errs.PartyOf(out.err))
		require.Contains(t, errs.HintOf(out.err), "the last words of node-1")
	}
}

func TestBreakdownDoesNotChangeWhatIsDecided(t *testing.T) {
	t.Parallel()
	for _, status := range []results.Status{results.Graded, results.AgentTimeout, results.Cancelled, results.GraderError} {
		tr, c, events := broken(t)
		close(c.done)
		out := outcome{status: status}
		require.Equal(t, out, tr.blameCluster(out))
		tr.noteBreakdown(out)
		require.Len(t, *events, 1)
		require.Contains(t, (*events)[0].Message, "after the evidence was taken: cluster broke down: run node-1")
	}
	tr, _, events := broken(t)
	tr.noteBreakdown(outcome{status: results.Graded})
	require.Empty(t, *events, "a whole cluster is not worth a word")
}

// stuck is a fault whose recovery needs the cluster.
type stuck struct {
	faults.Fault
	began chan struct{}
}

func (s stuck) Recover(ctx context.Context, _ faults.Env) error {
	close(s.began)
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestFaultsGoDownWithTheirCluster(t *testing.T) {
	t.Parallel()
	tr, c, _ := broken(t)
	began := make(chan struct{})
	tr.env.faults = []boundFault{{id: "f", fault: stuck{began: began}}}
	go func() { <-began; close(c.done) }()
	require.NoError(t, tr.recover(t.Context()), "what is gone is not left behind")
	require.NoError(t, tr.recover(t.Context()))
}
