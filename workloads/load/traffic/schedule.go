package traffic

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// schedule says when requests are due and which route each takes. It depends on the profile alone. Arrivals are points on
// the axis of expected requests (the integral of the rate): evenly spaced for constant arrivals, exponentially for Poisson
// ones; each is then mapped to the time at which so many requests were expected. It is not safe for concurrent use.
type schedule struct {
	arrival  string
	segments []segment
	gaps     *rand.Rand
	mix      *rand.Rand
	weights  []float64 // cumulative, the last is the sum

	index    uint64
	expected float64
	segment  int
}

// segment is a time over which the rate is linear.
type segment struct {
	start    float64 // seconds
	length   float64 // seconds; +Inf for the last
	from, to float64 // requests per second
	before   float64 // expected requests before it
}

// arrival is one request's place in the schedule.
type arrival struct {
	Index uint64
	At    time.Duration
	Route int
}

func newSchedule(p Profile) *schedule {
	s := &schedule{
		arrival: p.Arrival,
		gaps:    rand.New(rand.NewPCG(p.Seed, 1)), //nolint:gosec // arrivals, not secrets.
		mix:     rand.New(rand.NewPCG(p.Seed, 2)), //nolint:gosec // see above.
	}
	var at, before float64
	rate := p.Rate
	for _, st := range p.Stages {
		if length := st.Duration.Seconds(); length > 0 {
			s.segments = append(s.segments, segment{at, length, rate, st.Rate, before})
			at += length
			before += length * (rate + st.Rate) / 2
		}
		rate = st.Rate
	}
	s.segments = append(s.segments, segment{at, math.Inf(1), rate, rate, before})
	var sum float64
	for _, r := range p.Routes {
		sum += r.Weight
		s.weights = append(s.weights, sum)
	}
	return s
}

// next returns the next arrival. ok is false when the rate has gone to 0 for ever.
func (s *schedule) next() (a arrival, ok bool) {
	if s.arrival == Poisson {
		s.expected += s.gaps.ExpFloat64()
	} else {
		s.expected++
	}
	for s.segment < len(s.segments)-1 && s.expected >= s.segments[s.segment+1].before {
		s.segment++
	}
	at := s.segments[s.segment].when(s.expected)
	if math.IsInf(at, 1) || at > maxSchedule {
		return arrival{}, false
	}
	point := s.mix.Float64() * s.weights[len(s.weights)-1]
	route, _ := slices.BinarySearchFunc(s.weights, point, func(w, p float64) int {
		if w <= p {
			return -1
		}
		return 1
	})
	a = arrival{Index: s.index, At: time.Duration(at * float64(time.Second)), Route: min(route, len(s.weights)-1)}
	s.index++
	return a, true
}

// maxSchedule keeps times within time.Duration: 30 years, in seconds.
const maxSchedule = 1e9

// when returns the time in seconds at which expected requests were expected.
func (g segment) when(expected float64) float64 {
	n := expected - g.before
	slope := (g.to - g.from) / g.length
	if math.IsInf(g.length, 1) || math.Abs(slope) < 1e-12 {
		if g.from <= 0 {
			return math.Inf(1)
		}
		return g.start + n/g.from
	}
	// n = from*t + slope*t^2/2, solved in the form that does not cancel.
	root := math.Sqrt(math.Max(0, g.from*g.from+2*slope*n))
	return g.start + 2*n/(g.from+root)
}

// rateAt returns the rate that is due at a time.
func (s *schedule) rateAt(t time.Duration) float64 {
	x := t.Seconds()
	for _, g := range s.segments {
		if x < g.start+g.length {
			if math.IsInf(g.length, 1) {
				return g.from
			}
			return g.from + (g.to-g.from)*(x-g.start)/g.length
		}
	}
	return 0
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
