package orchestrator

import (
	"slices"
	"time"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/processor"
)

const (
	// spareShare is what a machine has to spare, of its cores' time, for a missed objective to be held against an agent. Below it
	// requests wait for processors, whatever the application does.
	spareShare = 0.05
	// saturatedLimit is how long a repair may in all wait for processors, beside the time that it has to show.
	saturatedLimit = 80 * time.Second
)

// machine remembers how busy this machine was in the last moments. Clusters run on it, so that a system that is well can miss
// its objectives because another trial, or another program, has taken the processors. It is for one goroutine.
type machine struct {
	clock clock.PassiveClock
	read  func() (processor.Times, error)
	seen  []moment
}

type moment struct {
	at    time.Time
	spent processor.Times
}

func newMachine(c clock.PassiveClock) *machine { return &machine{clock: c, read: processor.Read} }

// saturated remembers this moment, and reports whether the processors have been taken since the latest moment that lies a hold
// window back, or since the first one. Where it cannot be told they are free.
func (m *machine) saturated() bool {
	if m == nil {
		return false
	}
	spent, err := m.read()
	if err != nil {
		return false
	}
	now := moment{m.clock.Now(), spent}
	m.seen = append(m.seen, now)
	// What is older than the latest one outside of the window is of no use any more.
	inside := slices.IndexFunc(m.seen, func(old moment) bool { return now.at.Sub(old.at) < holdWindow })
	m.seen = m.seen[max(inside-1, 0):]
	return now.spent.Since(m.seen[0].spent).Spare() < spareShare
}

// errSaturated says that the end of a trial proves nothing about its agent.
func errSaturated() error {
	return errs.Hint(
		errs.Newf(errs.Infra, "no fault is live, but the system is not well, and this machine's processors were taken all the time: who is to blame cannot be told"),
		"run fewer trials at a time with --concurrency, or nothing else beside them")
}
