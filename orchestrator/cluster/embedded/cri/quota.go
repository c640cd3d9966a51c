package cri

import (
	"runtime"
	"time"
)

const (
	// minSlice is the shortest time between two looks at a container near its quota.
	minSlice = 2 * time.Millisecond
	// calmPeriods is for how many periods in a row a container has to use little before it is looked at less than once in each.
	calmPeriods = 10
	// maxStride is the most periods between two looks. A container uses little when it uses less than a quarter of its quota: then not even all that it has
	// used in so many periods is more than one of them allows, so nothing that the kernel would have throttled goes unseen while it stays calm.
	maxStride = 4
	// longestStop bounds for how long a container is stopped that begins to use every processor of the machine just after somebody has looked. A container that could
	// owe more after one period is looked at in each.
	longestStop = 1200 * time.Millisecond
)

// throttles reports whether the quota is one that a container can use up on this machine.
func (l limits) throttles() bool {
	return l.quota > 0 && l.quota < l.period*time.Duration(runtime.NumCPU())
}

// quota keeps the books of one container's CPU quota, as the kernel's bandwidth control does: every period brings the quota, what is left of it at the
// period's end is lost, and what was used beyond it is a debt that the next periods pay. While there is a debt the container is stopped.
//
// What a container uses is known when somebody looks. Near its quota it is looked at as often as it could use up what is left of it, with less once a period,
// and with little use for long once in several periods. It has no clock and does nothing itself: look says what is to be done, and when to look again. It is
// not safe for concurrent use.
type quota struct {
	limit  time.Duration // Of processor time in each period.
	period time.Duration
	cores  int // What the machine has.

	start   time.Time     // Of the current period.
	used    time.Duration // In all, when somebody looked last.
	budget  time.Duration // What is left; a debt is negative.
	spent   time.Duration // Since start.
	calm    int64         // For how many periods it has used little.
	stride  int64         // Periods between two looks; 0 while it is looked at within a period.
	stopped time.Time     // Since when it is stopped, zero while it runs.
}

// verdict is what a look has shown.
type verdict struct {
	stop, resume bool
	next         time.Time // When to look again.
	// So many periods are over in which the container ran, throttled of them with a part, or all of it, in which it was stopped. stoppedFor
	// is how long a stop that is over has lasted.
	periods, throttled uint64
	stoppedFor         time.Duration
}

// newQuota opens the books of a container that has used so much until now.
func newQuota(lim limits, cores int, now time.Time, used time.Duration) *quota {
	return &quota{
		limit: lim.quota, period: lim.period, cores: cores, start: floor(now, lim.period), used: used, budget: lim.quota, stride: 1,
	}
}

// look enters what the container has used in all until now.
func (q *quota) look(now time.Time, used time.Duration) verdict {
	var v verdict
	q.spent += used - q.used
	q.budget -= used - q.used
	q.used = used
	running, n := q.stopped.IsZero(), int64(now.Sub(q.start)/q.period)
	// One that is seen at the end of a period to have used too much is stopped before the next period's quota pays for it: it counts as throttled. After
	// several periods nobody knows whether it has used too much in any of them, only whether it has in all.
	overdrawn := running && q.budget <= 0 && n <= 1
	if n > 0 && !overdrawn {
		q.turn(n, &v)
	}
	switch {
	case running && q.budget <= 0:
		q.stopped, v.stop = now, true
	case !running && q.budget > 0:
		v.resume, v.stoppedFor = true, now.Sub(q.stopped)
		q.stopped = time.Time{}
	}
	v.next = q.next(now)
	return v
}

// turn closes the books of n periods.
func (q *quota) turn(n int64, v *verdict) {
	stopped := !q.stopped.IsZero()
	if q.spent > 0 || stopped {
		v.periods = uint64(n)
	}
	if stopped {
		v.throttled = uint64(n)
	}
	if little := min(time.Duration(n)*q.limit/maxStride, q.limit); q.spent < little && !stopped {
		q.calm += n
		q.stride = 1
		if q.calm >= calmPeriods {
			q.stride = q.longest()
		}
	} else {
		q.calm, q.stride = 0, 0
	}
	q.budget = min(q.budget+time.Duration(n)*q.limit, q.limit)
	q.start = q.start.Add(time.Duration(n) * q.period)
	q.spent = 0
}

// longest is how many periods may lie between two looks, so that longestStop holds: 1, 2 or maxStride.
func (q *quota) longest() int64 {
	// For each period without a look it could owe so many periods' quotas.
	owes := float64(q.cores)*float64(q.period)/float64(q.limit) - 1
	for n := int64(maxStride); n > 1; n /= 2 {
		if float64(n)*owes*float64(q.period) <= float64(longestStop) {
			return n
		}
	}
	return 1
}

// next is when to look again, always later than now.
func (q *quota) next(now time.Time) time.Time {
	switch {
	case !q.stopped.IsZero():
		owed := 1 + int64(-q.budget/q.limit) // Periods until the budget is above zero again.
		return later(q.start.Add(time.Duration(owed)*q.period), now.Add(minSlice))
	case q.stride > 0:
		// On one grid for all containers: a node looks at all those that use little in one go.
		step := time.Duration(q.stride) * q.period
		return floor(q.start, step).Add(step)
	default:
		left := q.start.Add(q.period).Sub(now)
		return now.Add(min(max(q.budget/time.Duration(q.cores), minSlice), left))
	}
}

// hurry makes the next look one within the period, because there is reason to expect that the container will use more than it did. It returns when that is.
// A look has come just before.
func (q *quota) hurry(now time.Time) time.Time {
	q.calm, q.stride = 0, 0
	return q.next(now)
}

// end closes the books for good: a container that is stopped goes on.
func (q *quota) end(now time.Time) verdict {
	if q.stopped.IsZero() {
		return verdict{}
	}
	n := max(uint64(now.Sub(q.start)/q.period), 1)
	return verdict{resume: true, periods: n, throttled: n, stoppedFor: now.Sub(q.stopped)}
}

// floor is the last multiple of step, since the epoch, that is not after t.
func floor(t time.Time, step time.Duration) time.Time {
	return t.Add(-time.Duration(t.UnixNano() % int64(step)))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
