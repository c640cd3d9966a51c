package cri

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The container of these tests: a limit of one core, or of a part, on a machine of two.
const (
	period = 100 * time.Millisecond
	cores  = 2
)

// outcome is what a container has done under a quota, and what was done to it.
type outcome struct {
	used                        time.Duration
	looks                       int
	periods, throttled, strict  uint64 // strict: periods that the kernel would have throttled, of the use as it was.
	stopped, longest, overdrawn time.Duration
	gap                         time.Duration // The longest time between two looks.
}

// play lets a container that wants so many cores at each moment run under a quota for so long, in steps of a millisecond.
func play(limit, length time.Duration, wants func(at time.Duration) float64) outcome {
	const step = time.Millisecond
	begin := time.Unix(1_000_000, 0)
	q := newQuota(limits{quota: limit, period: period}, cores, begin, 0)
	next, looked := q.next(begin), begin
	running := true
	var stopped time.Time
	var out outcome
	var inPeriod, debt time.Duration
	for at := time.Duration(0); at < length; at += step {
		now := begin.Add(at)
		if at > 0 && at%period == 0 {
			// What the kernel's books would say, had it let everything run that has run.
			if inPeriod > limit {
				out.strict++
			}
			debt = max(debt+inPeriod-limit, 0)
			out.overdrawn, inPeriod = max(out.overdrawn, debt), 0
		}
		if !now.Before(next) {
			out.looks, out.gap, looked = out.looks+1, max(out.gap, now.Sub(looked)), now
			v := q.look(now, out.used)
			out.periods, out.throttled, out.stopped = out.periods+v.periods, out.throttled+v.throttled, out.stopped+v.stoppedFor
			if v.stop {
				running, stopped = false, now
			}
			if v.resume {
				running, out.longest = true, max(out.longest, now.Sub(stopped))
			}
			next = v.next
		}
		if running {
			use := time.Duration(math.Min(wants(at), cores) * float64(step))
			out.used, inPeriod = out.used+use, inPeriod+use
		}
	}
	return out
}

func steady(cores float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return cores }
}

// TestQuietContainersAreLookedAtRarely: five times a second, where a period has a tenth.
func TestQuietContainersAreLookedAtRarely(t *testing.T) {
	t.Parallel()
	const long = time.Minute
	out := play(period, long, steady(0.02))
	require.LessOrEqual(t, out.looks, int(long/(maxStride*period))+2*calmPeriods)
	require.LessOrEqual(t, out.gap, maxStride*period, "but it is looked at")
	require.Zero(t, out.throttled)
	busy := play(period, long, steady(0.5))
	require.Greater(t, busy.looks, 2*int(long/period), "one that uses half of its quota is looked at within each period")
	require.Zero(t, busy.throttled)
}

// TestQuotaHolds: whatever a container does, and however long it did nothing before, it gets what its quota allows and no more, but for what can be used between two looks;
// that it owes.
func TestQuotaHolds(t *testing.T) {
	t.Parallel()
	const long = 40 * time.Second
	for _, limit := range []time.Duration{10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond} {
		for _, idle := range []time.Duration{0, 30 * time.Millisecond, 5 * time.Second, 5*time.Second + 70*time.Millisecond, 5*time.Second + 330*time.Millisecond} {
			t.Run(fmt.Sprintf("%v of %v, after %v", limit, period, idle), func(t *testing.T) {
				t.Parallel()
				out := play(limit, long, func(at time.Duration) float64 {
					if at < idle {
						return 0.01 * float64(limit) / float64(period)
					}
					return cores
				})
				stride := time.Duration(newQuota(limits{quota: limit, period: period}, cores, time.Unix(0, 0), 0).longest())
				const late = cores * 2 * (minSlice + time.Millisecond) // The clock of play has steps.
				require.LessOrEqual(t, out.overdrawn, stride*(cores*period-limit)+late)
				require.LessOrEqual(t, out.longest, max(longestStop, (cores*period/limit)*period)+period)
				fair := float64(limit) / float64(period) * (long - idle).Seconds()
				require.InEpsilon(t, fair, out.used.Seconds(), 0.15)
				require.LessOrEqual(t, out.used.Seconds(), fair*1.05+out.overdrawn.Seconds())
				require.Greater(t, float64(out.throttled), 0.8*float64((long-idle)/period), "it is throttled in nearly every period")
				require.LessOrEqual(t, out.throttled, out.periods)
				require.LessOrEqual(t, out.periods, uint64(long/period))
				require.Positive(t, out.stopped)
			})
		}
	}
}

// TestNoThrottlingGoesUnseen: a calm container never uses more than one period allows, however it is spread; and bursts are found as long as they come more often
// than a container calms down.
func TestNoThrottlingGoesUnseen(t *testing.T) {
	t.Parallel()
	// every lets a container use so many cores for the first part of each interval, after a while without anything.
	every := func(after, interval, part time.Duration, cores float64) func(time.Duration) float64 {
		return func(at time.Duration) float64 {
			if at >= after && at%interval < part {
				return cores
			}
			return 0
		}
	}
	calm := play(period, 20*time.Second, every(2*time.Second, maxStride*period, 96*time.Millisecond, 1))
	require.Zero(t, calm.strict)
	require.Zero(t, calm.throttled)
	require.LessOrEqual(t, calm.looks, int(20*time.Second/(maxStride*period))+2*calmPeriods, "it was not looked at in each period")

	bursts := play(period, 20*time.Second, every(0, 5*period, 80*time.Millisecond, cores))
	require.Equal(t, uint64(40), bursts.strict)
	require.Equal(t, bursts.strict, bursts.throttled)

	late := play(period, 20*time.Second, every(0, 20*period, 80*time.Millisecond, cores))
	require.Equal(t, uint64(10), late.strict, "each comes after a second without anything")
	require.Equal(t, late.strict, late.throttled)
}

// TestPeriodsOfALateLook are counted as the kernel does it: those in which the container ran, and those in which it would have been stopped.
func TestPeriodsOfALateLook(t *testing.T) {
	t.Parallel()
	const limit = period
	for _, c := range []struct {
		name               string
		spent              time.Duration
		periods, throttled uint64
	}{
		{"nothing", 0, 0, 0},
		{"little", limit / 10, 1, 0},
		{"as much as one period allows", limit, 2, 0},
		{"more than that", limit + limit/2, 2, 1},
		{"as much as both allow", 2 * limit, 2, 1},
		{"more than they allow", 2*limit + 1, 2, 2},
		{"all that there is", 2 * cores * period, 2, 2},
	} {
		q := newQuota(limits{quota: limit, period: period}, cores, time.Unix(1_000_000, 0), 0)
		now := time.Unix(1_000_000, 0)
		for range 2 * calmPeriods {
			now = q.look(now, 0).next
		}
		v := q.look(now, c.spent)
		require.Equal(t, c.periods, v.periods, c.name)
		require.Equal(t, c.throttled, v.throttled, c.name)
	}
}

// TestALookThatComesTooLateIsNotTheContainersDebt: whoever is not looked at for long owes what it can use in one period, and no more.
func TestALookThatComesTooLateIsNotTheContainersDebt(t *testing.T) {
	t.Parallel()
	const limit = period / 2
	begin := time.Unix(1_000_000, 0)
	for _, c := range []struct {
		late    int64
		stopped time.Duration
	}{
		{1, 3 * period}, // The fourth quota of what it has used is that of the period itself.
		{maxStride, 6 * period},
		{maxStride + 1, 4 * period},
		{600, 4 * period},
	} {
		q := newQuota(limits{quota: limit, period: period}, cores, begin, 0)
		used := time.Duration(c.late) * cores * period
		now := begin.Add(time.Duration(c.late) * period)
		v := q.look(now, used)
		require.True(t, v.stop, "%d periods late", c.late)
		var throttled uint64
		for !v.resume {
			throttled += v.throttled
			v = q.look(v.next, used)
		}
		require.Equal(t, uint64(c.late)+uint64(c.stopped/period), throttled+v.throttled, "%d periods late", c.late)
		require.Equal(t, c.stopped, v.stoppedFor, "%d periods late", c.late)
	}
	q := newQuota(limits{quota: limit, period: period}, cores, begin, 0)
	v := q.look(begin.Add(600*period), limit)
	require.False(t, v.stop, "it owes nothing")
	require.Zero(t, v.throttled)
}

// TestWhoJoinsAStoppedContainerStops: whatever runs while it is stopped is stopped, and the container goes on when all of it is paid.
func TestWhoJoinsAStoppedContainerStops(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1_000_000, 0)
	at := func(d time.Duration) time.Time { return begin.Add(d) }
	q := newQuota(limits{quota: period / 2, period: period}, cores, begin, 0)
	require.False(t, q.join(begin, 0).stop, "it runs")
	v := q.look(at(period/2), period)
	require.True(t, v.stop)
	v = q.join(at(period/2+10*time.Millisecond), period)
	require.True(t, v.stop)
	require.False(t, v.resume)
	require.Equal(t, at(2*period), v.next, "it has used what two periods allow")

	// It could not be stopped: it uses both cores.
	v = q.look(v.next, period+cores*period)
	require.True(t, v.stop)
	require.False(t, v.resume)
	v = q.look(at(5*period), period+cores*period)
	require.False(t, v.stop, "nobody runs")
	require.False(t, v.resume, "it has not paid")
	v = q.look(v.next, period+cores*period)
	require.True(t, v.resume)
	require.False(t, v.stop)
	require.Equal(t, 5*period+period/2, v.stoppedFor)
	require.False(t, q.join(at(6*period), period+cores*period).stop, "it runs again")
}

// TestPardon: a container that is asked to end goes on at once, whatever it owes, and is held to its quota as before.
func TestPardon(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1_000_000, 0)
	stoppedAt := begin.Add(period)
	open := func(used time.Duration) *quota {
		q := newQuota(limits{quota: period / 2, period: period}, cores, begin, 0)
		require.Equal(t, used > 0, q.look(stoppedAt, used).stop)
		return q
	}
	for _, c := range []struct {
		name               string
		after              time.Duration
		periods, throttled uint64
	}{
		{"at once", 0, 1, 1},
		{"within the period", period / 4, 1, 1},
		{"some periods later", 2*period + period/4, 3, 3},
	} {
		q, now := open(cores*period), stoppedAt.Add(c.after)
		v := q.pardon(now, cores*period)
		require.False(t, v.stop, c.name)
		require.True(t, v.resume, c.name)
		require.Equal(t, c.after, v.stoppedFor, c.name)
		require.Equal(t, c.periods, v.periods, c.name)
		require.Equal(t, c.throttled, v.throttled, c.name)
		require.True(t, v.next.After(now), c.name)
		require.LessOrEqual(t, v.next.Sub(now), period/2/cores, "%s: as soon as it could have used its quota", c.name)
		v = q.look(v.next, cores*period+period/2)
		require.True(t, v.stop, "%s: it has used its quota", c.name)
		v = q.look(v.next, cores*period+period/2)
		require.True(t, v.resume, c.name)
		require.LessOrEqual(t, v.stoppedFor, period, c.name)
	}
	q := open(0)
	v := q.pardon(stoppedAt, 0)
	require.False(t, v.stop || v.resume, "it runs")

	// What would have stopped it is seen only now.
	for _, after := range []time.Duration{period / 2, period} {
		q, now := open(0), stoppedAt.Add(after)
		v := q.pardon(now, cores*period)
		require.False(t, v.stop, "seen after %v", after)
		require.True(t, v.resume, "seen after %v", after)
		require.Zero(t, v.stoppedFor, "seen after %v", after)
		require.Equal(t, uint64(after/period), v.throttled, "seen after %v", after)
		require.True(t, v.next.After(now), "seen after %v", after)
	}
}

// TestQuotaThatEnds: who takes the quota away has the container go on.
func TestQuotaThatEnds(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1_000_000, 0)
	q := newQuota(limits{quota: period / 2, period: period}, cores, begin, 0)
	require.Equal(t, verdict{}, q.end(begin))
	v := q.look(begin.Add(period), period)
	require.True(t, v.stop)
	require.Equal(t, verdict{resume: true, periods: 1, throttled: 1, stoppedFor: 30 * time.Millisecond}, q.end(begin.Add(period+30*time.Millisecond)))
}

// TestHurry: after a hint that more is to come, the next look comes within the period.
func TestHurry(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1_000_000, 0)
	q := newQuota(limits{quota: period, period: period}, cores, begin, 0)
	now := begin
	for range 2 * calmPeriods {
		now = q.look(now, 0).next
	}
	v := q.look(now, 0)
	require.Equal(t, maxStride*period, v.next.Sub(now))
	require.Equal(t, period/cores, q.hurry(now).Sub(now))
}
