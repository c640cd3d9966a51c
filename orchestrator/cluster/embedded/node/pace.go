package node

import (
	"sync"
	"time"
)

// pace lets a loop of the kubelet rest while nothing happens. Upstream's loops look several times a second whether there is something to do; on a node where
// nothing changes, and there are many on one machine, that is most of what a kubelet takes of the processor. It is safe for concurrent use.
type pace struct {
	rest   time.Duration // How long a loop is held beyond its own period.
	settle time.Duration // For how long after a hurry it is not.

	mu    sync.Mutex
	until time.Time // Nobody rests before.
	woken chan struct{}
}

// newPace returns the pace of loops that have just started: they do not rest yet.
func newPace(rest, settle time.Duration) *pace {
	return &pace{rest: rest, settle: settle, until: time.Now().Add(settle), woken: make(chan struct{})}
}

// hold returns at once while there is something to do, otherwise after a rest, or when somebody hurries. Loops call it before they look.
func (p *pace) hold() {
	p.mu.Lock()
	busy, woken := time.Now().Before(p.until), p.woken
	p.mu.Unlock()
	if busy {
		return
	}
	timer := time.NewTimer(p.rest)
	defer timer.Stop()
	select {
	case <-woken:
	case <-timer.C:
	}
}

// hurry ends the rest: there is something to look at, and perhaps more to come.
func (p *pace) hurry() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Now().Add(p.settle)
	close(p.woken)
	p.woken = make(chan struct{})
}
