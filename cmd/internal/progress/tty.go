package progress

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/orchestrator"
)

const refresh = 200 * time.Millisecond

// tty keeps a block of lines at the bottom of the terminal: one for each trial under way and one for the run. What is over
// is printed above it and scrolls away.
type tty struct {
	out   io.Writer
	width int
	color bool
	clock clock.WithTicker

	mu          sync.Mutex
	active      []*line
	done, total int
	started     time.Time
	drawn       int
	frame       int

	stop    chan struct{}
	stopped chan struct{}
}

type line struct {
	trial   string
	phase   orchestrator.Phase
	started time.Time
	phaseAt time.Time
}

func newTTY(o Options) *tty {
	t := &tty{
		out: o.Out, width: o.Width, color: o.Color, clock: o.Clock, started: o.Clock.Now(),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	ticker := o.Clock.NewTicker(refresh)
	go func() {
		defer close(t.stopped)
		defer ticker.Stop()
		for {
			select {
			case <-t.stop:
				return
			case <-ticker.C():
				t.mu.Lock()
				t.frame++
				t.draw("")
				t.mu.Unlock()
			}
		}
	}()
	return t
}

// Event implements orchestrator.Observer.
func (t *tty) Event(e orchestrator.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	above := ""
	switch e.Type {
	case orchestrator.RunStarted:
		t.total, t.started = number(e.Fields["trials"]), e.Time
		above = fmt.Sprintf("run of %d trials in %s", t.total, e.Message)
	case orchestrator.TrialStarted:
		t.active = append(t.active, &line{trial: e.Trial, started: e.Time, phaseAt: e.Time})
	case orchestrator.PhaseStarted:
		if l := t.find(e.Trial); l != nil {
			l.phase, l.phaseAt = e.Phase, e.Time
		}
	case orchestrator.TrialFinished:
		t.done++
		t.active = slices.DeleteFunc(t.active, func(l *line) bool { return l.trial == e.Trial })
		above = fmt.Sprintf("%s %s  %s  %s", t.mark(e), e.Trial, outcome(e), seconds(e.Seconds))
	case orchestrator.TrialRetried:
		t.done--
		above = fmt.Sprintf("  %s  tried again after %s", e.Trial, e.Message)
	case orchestrator.Note:
		above = strings.TrimSpace("  " + e.Trial + "  " + render.OneLine(e.Message))
	}
	t.draw(above)
}

func (t *tty) find(trial string) *line {
	if i := slices.IndexFunc(t.active, func(l *line) bool { return l.trial == trial }); i >= 0 {
		return t.active[i]
	}
	return nil
}

// mark is ✓ for a graded trial, ✗ for any other.
func (t *tty) mark(e orchestrator.Event) string {
	sign, color := "✗", "31"
	if e.Message == "graded" {
		sign, color = "✓", "32"
	}
	if t.color {
		return "\x1b[" + color + "m" + sign + "\x1b[0m"
	}
	return sign
}

// draw replaces the block, with above printed over it, in one write so that nothing flickers.
func (t *tty) draw(above string) {
	var b bytes.Buffer
	if t.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", t.drawn)
	}
	if above != "" {
		b.WriteString(above + "\n")
	}
	spinner := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	now := t.clock.Now()
	t.drawn = 0
	for _, l := range t.active {
		text := fmt.Sprintf("%c %s  %s %s  (%s)", spinner[t.frame%len(spinner)], l.trial, l.phase, since(now, l.phaseAt), since(now, l.started))
		b.WriteString(t.cut(text) + "\n")
		t.drawn++
	}
	if t.total > 0 {
		b.WriteString(t.cut(fmt.Sprintf("%d of %d trials, %s", t.done, t.total, since(now, t.started))) + "\n")
		t.drawn++
	}
	_, _ = t.out.Write(b.Bytes()) // Nothing can be said about a broken terminal.
}

func (t *tty) cut(text string) string {
	runes := []rune(text)
	if t.width <= 0 || len(runes) < t.width {
		return text
	}
	return string(runes[:t.width-1])
}

func since(now, then time.Time) string {
	return max(0, now.Sub(then)).Round(time.Second).String()
}

// Close implements Renderer.
func (t *tty) Close() {
	close(t.stop)
	<-t.stopped
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active = nil
	t.draw("")
	t.drawn = 0
}
