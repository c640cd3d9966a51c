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

// TestQuietContainersAreLookedAtRarely: two or three times a second, where a period has a tenth.
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
	require.Less(t, calm.looks, 100, "it was not looked at in each period")

	bursts := play(period, 20*time.Second, every(0, 5*period, 80*time.Millisecond, cores))
	require.Equal(t, uint64(40), bursts.strict)
	require.Equal(t, bursts.strict, bursts.throttled)
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

func TestMemoryPace(t *testing.T) {
	t.Parallel()
	const check = 250 * time.Millisecond
	for _, c := range []struct {
		name string
		left uint64
		want time.Duration
	}{
		{"at the limit", 0, check},
		{"near it", fastestGrowth / 100, check},
		{"where the fastest would get within the time", fastestGrowth / 5 * 2, 400 * time.Millisecond},
		{"far from it", fastestGrowth, memoryPatience * check},
		{"without one", math.MaxUint64, memoryPatience * check},
	} {
		got := memoryPace(check, c.left)
		require.InDelta(t, c.want, got, float64(time.Microsecond), c.name)
		require.LessOrEqual(t, max(0, got.Seconds()*fastestGrowth-float64(c.left)), check.Seconds()*fastestGrowth, "at the fastest, %s: no further than with one look per check", c.name)
	}
}
