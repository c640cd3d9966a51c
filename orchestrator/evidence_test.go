package orchestrator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/workloads"
)

// sightings is telemetry that shows one objective, met or not, look after look; the last goes on.
type sightings struct {
	met   []bool
	taken int
}

func (l *sightings) Objective(_ context.Context, slo workloads.SLO, _ time.Duration) (evaluator.SLOEvidence, error) {
	met := l.met[min(l.taken, len(l.met)-1)]
	l.taken++
	return evaluator.SLOEvidence{Name: slo.Name, Met: met, Samples: 10}, nil
}

func (*sightings) Alerts(context.Context) ([]evaluator.AlertEvidence, error) { return nil, nil }

func (*sightings) Firing(context.Context) (string, error)      { return "", nil }
func (*sightings) Holds(context.Context, string) (bool, error) { return false, nil }

// TestSettleJudgesWhatItSaw: the look that ends the wait is the one that counts, whatever the next one would show.
func TestSettleJudgesWhatItSaw(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		met   []bool
		want  bool
		taken int
	}{
		"at once":                      {[]bool{true, false}, true, 1},
		"later, and only for a moment": {[]bool{false, false, true, false}, true, 3},
		"when the time is up":          {[]bool{false, false, false, true}, true, 4},
		"never":                        {[]bool{false}, false, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				seen := &sightings{met: c.met}
				e := &environment{
					app: &workloads.Definition{SLOs: []workloads.SLO{{Name: "availability"}}}, clock: clock.RealClock{},
					kubernetes: fake.NewSimpleClientset(), metrics: seen,
				}
				got, err := e.settle(t.Context(), 5*pollInterval/2)
				require.NoError(t, err)
				require.Equal(t, c.want, got.slos[0].Met)
				require.Equal(t, c.taken, seen.taken)
			})
		})
	}
}
