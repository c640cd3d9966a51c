package traffic

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func profileWith(rate float64, arrivalKind string, stages ...Stage) Profile {
	return Profile{
		Target: "http://127.0.0.1:1", Rate: rate, Arrival: arrivalKind, Stages: stages, Seed: 7,
		Routes: []Route{
			{Name: "a", Method: "GET", Path: "/a", Weight: 3, Timeout: time.Second},
			{Name: "b", Method: "GET", Path: "/b", Weight: 1, Timeout: time.Second},
		},
	}
}

func take(p Profile, until time.Duration) []arrival {
	s := newSchedule(p)
	var out []arrival
	for {
		a, ok := s.next()
		if !ok || a.At >= until {
			return out
		}
		out = append(out, a)
	}
}

func TestScheduleKeepsItsRates(t *testing.T) {
	t.Parallel()
	const s = time.Second
	tests := []struct {
		name   string
		rate   float64
		stages []Stage
		// want is the number of requests in each of the seconds that follow.
		want []float64
	}{
		{"hold", 50, nil, []float64{50, 50, 50}},
		{"ramp from the base rate", 0.001, []Stage{{Rate: 100, Duration: 2 * s}}, []float64{25, 75, 100, 100}},
		{"ramp down to nothing", 100, []Stage{{Rate: 0, Duration: 2 * s}}, []float64{75, 25, 0}},
		{"spike", 10, []Stage{{Rate: 10, Duration: s}, {Rate: 200}, {Rate: 200, Duration: s}, {Rate: 10}}, []float64{10, 200, 10, 10}},
		{"pause", 40, []Stage{{Rate: 40, Duration: s}, {Rate: 0}, {Rate: 0, Duration: s}, {Rate: 40}}, []float64{40, 0, 40}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			end := time.Duration(len(tc.want)) * s
			for _, kind := range []string{Constant, Poisson} {
				got := make([]float64, len(tc.want))
				for _, a := range take(profileWith(tc.rate, kind, tc.stages...), end) {
					got[a.At/s]++
				}
				for i := range got {
					allowed := 1.01
					if kind == Poisson {
						allowed = 4*math.Sqrt(tc.want[i]) + 0.01
					}
					require.InDeltaf(t, tc.want[i], got[i], allowed, "%s, second %d: %v", kind, i, got)
				}
			}
		})
	}
}

func TestScheduleIsOrderedAndFollowsTheSeed(t *testing.T) {
	t.Parallel()
	p := profileWith(100, Poisson, Stage{Rate: 300, Duration: 5 * time.Second})
	first, again := take(p, 20*time.Second), take(p, 20*time.Second)
	require.Equal(t, first, again)
	require.True(t, slices.IsSortedFunc(first, func(a, b arrival) int { return int(a.At - b.At) }))
	p.Seed++
	require.NotEqual(t, first[:50], take(p, 20*time.Second)[:50])
}

func TestScheduleDrawsTheMix(t *testing.T) {
	t.Parallel()
	var counts [2]float64
	list := take(profileWith(1000, Constant), 10*time.Second)
	for _, a := range list {
		counts[a.Route]++
	}
	require.InDelta(t, 0.75, counts[0]/float64(len(list)), 0.02)
}

func TestPoissonGapsAreExponential(t *testing.T) {
	t.Parallel()
	list := take(profileWith(200, Poisson), 60*time.Second)
	var sum, squares float64
	for i := 1; i < len(list); i++ {
		gap := (list[i].At - list[i-1].At).Seconds()
		sum += gap
		squares += gap * gap
	}
	n := float64(len(list) - 1)
	mean := sum / n
	// The standard deviation of an exponential distribution is its mean.
	require.InDelta(t, mean, math.Sqrt(squares/n-mean*mean), 0.05*mean)
}

func TestRateAt(t *testing.T) {
	t.Parallel()
	s := newSchedule(profileWith(10, Constant, Stage{Rate: 20, Duration: 10 * time.Second}))
	require.InDelta(t, 15, s.rateAt(5*time.Second), 1e-9)
	require.InDelta(t, 20, s.rateAt(time.Minute), 1e-9)
}
