package sandbox

import (
	"time"
	"unsafe"

	"k8s.io/utils/clock"
)

// Clock is the clock of a container that lives with the given conditions. As with the operating system's, the time of
// day and the clock that measures durations are two, and each may be off on its own: Since is right where only the time
// of day has been moved meanwhile. Timers and tickers run at the node's pace either way.
func (c *Conditions) Clock() clock.WithTicker { return offsetClock{conditions: c} }

type offsetClock struct {
	clock.RealClock

	conditions *Conditions
}

// Now is the time by the container's clocks.
func (c offsetClock) Now() time.Time {
	now, off := time.Now(), c.conditions.Clocks()
	if off == (ClockOffsets{}) {
		return now
	}
	return moveWall(now.Add(off.Monotonic), off.Wall-off.Monotonic)
}

// Since is the time since t by the container's clocks.
func (c offsetClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// instant is the layout of a time.Time with a monotonic reading: of wall the highest bit is set, then come 33 bits with
// the seconds since 1885 and 30 bits with nanoseconds; ext is the monotonic reading, which stays.
type instant struct {
	wall uint64
	ext  int64
	loc  *time.Location
}

const (
	hasMonotonic   = 1 << 63
	nanosecondBits = 30
	secondBits     = 33
)

// moveWall returns t with its time of day moved by d and its monotonic reading as it was, which package time has no way
// to say. Where that cannot be, t comes without a monotonic reading.
func moveWall(t time.Time, d time.Duration) time.Time {
	if d == 0 {
		return t
	}
	moved := t
	in := (*instant)(unsafe.Pointer(&moved))
	if !layoutKnown || in.wall&hasMonotonic == 0 {
		return t.Round(0).Add(d)
	}
	seconds := int64(in.wall<<1>>(nanosecondBits+1)) + int64(d/time.Second)
	nanoseconds := int64(in.wall&(1<<nanosecondBits-1)) + int64(d%time.Second)
	switch {
	case nanoseconds < 0:
		seconds, nanoseconds = seconds-1, nanoseconds+int64(time.Second)
	case nanoseconds >= int64(time.Second):
		seconds, nanoseconds = seconds+1, nanoseconds-int64(time.Second)
	}
	if seconds < 0 || seconds >= 1<<secondBits {
		return t.Round(0).Add(d)
	}
	in.wall = hasMonotonic | uint64(seconds)<<nanosecondBits | uint64(nanoseconds)
	return moved
}

// layoutKnown says whether this version of Go lays a time.Time out as instant says.
var layoutKnown = knowsLayout()

func knowsLayout() bool {
	if unsafe.Sizeof(instant{}) != unsafe.Sizeof(time.Time{}) {
		return false
	}
	t := time.Now()
	moved := t
	in := (*instant)(unsafe.Pointer(&moved))
	if in.wall&hasMonotonic == 0 {
		return false
	}
	in.wall += 3600 << nanosecondBits
	return moved.Sub(t) == 0 && moved.Round(0).Sub(t.Round(0)) == time.Hour
}
