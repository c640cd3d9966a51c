package orchestrator

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/processor"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/workloads"
)

// taken is a machine of one core that has nothing to spare until a moment after its start, and everything from then on.
func taken(until time.Duration) *machine {
	began := time.Now()
	m := newMachine(clock.RealClock{})
	m.read = func() (processor.Times, error) {
		up := time.Since(began)
		return processor.Times{Busy: min(up, until), All: up}, nil
	}
	return m
}

func TestMachineIsSaturated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := taken(20 * time.Second)
		require.False(t, m.saturated(), "nothing is known yet")
		time.Sleep(time.Second)
		require.True(t, m.saturated(), "since the first look")
		time.Sleep(18 * time.Second)
		require.True(t, m.saturated())
		time.Sleep(2 * time.Second)
		require.False(t, m.saturated(), "a second of the window was free")
		time.Sleep(holdWindow)
		require.False(t, m.saturated())
		require.Len(t, m.seen, 2, "what is outside of the window is forgotten")

		m.read = func() (processor.Times, error) { return processor.Times{}, errors.New("no /proc") }
		require.False(t, m.saturated(), "what cannot be told is no excuse")
		require.False(t, (*machine)(nil).saturated())
	})
}

// stays is a fault that is as it is.
type stays struct {
	faults.Fault
	live bool
}

func (s stays) Probe(context.Context, faults.Env) (faults.State, error) {
	return faults.State{Live: s.live}, nil
}

// TestBusyMachineIsNotHeldAgainstAnAgent: a repair that cannot show because the machine's processors are taken gets more time,
// and in the end no grade.
func TestBusyMachineIsNotHeldAgainstAnAgent(t *testing.T) {
	t.Parallel()
	const limit = 10 * time.Second
	for name, c := range map[string]struct {
		met   []bool
		live  bool
		taken time.Duration // how long the processors are
		took  time.Duration
		// blameless is what makes it no grade.
		blameless bool
	}{
		"free":                           {[]bool{false}, false, 0, limit, false},
		"taken for a while":              {[]bool{false}, false, 30 * time.Second, 30*time.Second + limit, false},
		"taken for good":                 {[]bool{false}, false, time.Hour, pollInterval + saturatedLimit, true},
		"taken, and the repair shows":    {append(make([]bool, 60), true), false, time.Hour, 30 * time.Second, false},
		"taken, but the fault is live":   {[]bool{false}, true, time.Hour, limit, false},
		"taken, but the system is well ": {[]bool{true}, false, time.Hour, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := &environment{
					app: &workloads.Definition{SLOs: []workloads.SLO{{Name: "availability"}}}, clock: clock.RealClock{},
					kubernetes: fake.NewSimpleClientset(), metrics: &sightings{met: c.met}, machine: taken(c.taken),
					faults: []boundFault{{id: "f", fault: stays{live: c.live}}}, cluster: &fragile{},
				}
				began := time.Now()
				got, err := e.settle(t.Context(), limit)
				require.NoError(t, err)
				require.InDelta(t, c.took, time.Since(began), float64(pollInterval))
				require.Equal(t, c.blameless, got.blameless())
			})
		})
	}
}

// TestTwinOnABusyMachineIsNotGraded: an alarm that the machine has raised is not a false one of the agent's.
func TestTwinOnABusyMachineIsNotGraded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr, _, _ := broken(t)
		tr.twin = true
		tr.env.app = &workloads.Definition{SLOs: []workloads.SLO{{Name: "availability"}}}
		tr.env.clock, tr.env.machine = clock.RealClock{}, taken(time.Hour)
		tr.env.metrics, tr.env.kubernetes = &sightings{met: []bool{false}}, fake.NewSimpleClientset()
		tr.env.machine.saturated()
		time.Sleep(time.Second)
		out := tr.judge(t.Context(), outcome{status: results.Graded, submission: agents.Submission{Detection: &agents.Detection{Anomaly: true}}})
		require.Equal(t, results.InfraError, out.status)
		require.Equal(t, errs.Infra, errs.PartyOf(out.err))
		require.ErrorContains(t, out.err, "this machine's processors were taken")
		require.Empty(t, out.scores)
		require.NotNil(t, out.submission.Detection)
	})
}
