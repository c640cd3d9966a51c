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
	// maxStride is the most periods between two looks. A container uses little when it uses less than half of its quota: then not even all that it has
	// used in so many periods is more than one of them allows, so nothing that the kernel would have throttled goes unseen while it stays calm.
	maxStride = 2
	// longestStop bounds for how long a container is stopped that begins to use every processor of the machine just after somebody has looked. A container that could
	// owe more after so many periods is looked at in each.
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
	// So many periods are over in which the container ran, throttled of them with a part, or all of it, in which it was stopped, or would have been had
	// anybody looked. stoppedFor is how long a stop that is over has lasted.
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
	grew := used > q.used
	q.spent += used - q.used
	q.budget -= used - q.used
	q.used = used
	running, n := q.stopped.IsZero(), int64(now.Sub(q.start)/q.period)
	if running && n > maxStride {
		q.forgive(n)
	}
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
	case !running && grew:
		v.stop = true // One of its processes runs: it has come since, or something has told it to go on.
	}
	v.next = q.next(now)
	return v
}

// forgive leaves of a debt what one period on every processor makes. It is for who comes n periods after the last look, later than anybody meant to: a node
// that hung, or did not get the processor, would otherwise have its containers pay for all that they did meanwhile.
func (q *quota) forgive(n int64) {
	most := time.Duration(q.cores)*q.period - q.limit
	q.budget = max(q.budget, -most-time.Duration(n)*q.limit) // The quotas of n periods are yet to come.
}

// turn closes the books of n periods.
func (q *quota) turn(n int64, v *verdict) {
	stopped := !q.stopped.IsZero()
	little := q.spent < min(time.Duration(n)*q.limit/maxStride, q.limit)
	switch {
	case stopped:
		v.periods, v.throttled = uint64(n), uint64(n)
	case n > 1 && q.spent > q.limit:
		// A burst that is seen late. The kernel would have stopped it in each period but the one in which it ends.
		v.periods, v.throttled = uint64(n), uint64(min(n, int64((q.spent-1)/q.limit)))
	case little && q.spent > 0:
		v.periods = 1 // A timer or a probe: in the others it most likely did not run.
	case q.spent > 0:
		v.periods = uint64(n)
	}
	if little && !stopped {
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

// longest is how many periods may lie between two looks, so that longestStop holds: maxStride or 1.
func (q *quota) longest() int64 {
	// For each period without a look it could owe so many periods' quotas.
	owes := float64(q.cores)*float64(q.period)/float64(q.limit) - 1
	if maxStride*owes*float64(q.period) <= float64(longestStop) {
		return maxStride
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

// join is look for a container that may have got a further process: while it is stopped that one has to stop, too, as in a control group that is throttled.
// Where it is not, the next look comes within the period.
func (q *quota) join(now time.Time, used time.Duration) verdict {
	v := q.look(now, used)
	v.stop = !q.stopped.IsZero()
	v.next = q.hurry(now)
	return v
}

// pardon is look for a container that has to go on now, because it is asked to end and has to see that: it owes nothing any more and has a whole quota for
// the rest of the period. The next look comes within the period.
func (q *quota) pardon(now time.Time, used time.Duration) verdict {
	v := q.look(now, used)
	if !q.stopped.IsZero() {
		if n := int64(now.Sub(q.start) / q.period); n > 0 {
			q.turn(n, &v) // Of one that would be stopped by this very look the period is still open.
		}
		v.stop, v.resume, v.stoppedFor = false, true, now.Sub(q.stopped)
		q.stopped, q.budget = time.Time{}, q.limit
	}
	v.next = q.hurry(now)
	return v
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
