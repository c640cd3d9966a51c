package progress

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/orchestrator"
)

// plain writes one line for each thing that is over: good in a log, and never redrawn.
type plain struct {
	mu          sync.Mutex
	out         io.Writer
	done, total int
}

func newPlain(o Options) *plain { return &plain{out: o.Out} }

// Event implements orchestrator.Observer.
func (p *plain) Event(e orchestrator.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := ""
	switch e.Type {
	case orchestrator.RunStarted:
		p.total = number(e.Fields["trials"])
		line = fmt.Sprintf("run of %d trials in %s", p.total, e.Message)
	case orchestrator.TrialStarted:
		line = fmt.Sprintf("%s: started", e.Trial)
	case orchestrator.TrialRetried:
		line = fmt.Sprintf("%s: tried again after %s", e.Trial, e.Message)
		p.done--
	case orchestrator.TrialFinished:
		p.done++
		line = fmt.Sprintf("%s: %s after %s [%d/%d]", e.Trial, outcome(e), seconds(e.Seconds), p.done, p.total)
	case orchestrator.PhaseFinished:
		line = fmt.Sprintf("%s: %s %s", e.Trial, e.Phase, seconds(e.Seconds))
		if e.Error != "" {
			line += ": " + render.OneLine(e.Error)
		}
	case orchestrator.Note:
		line = render.OneLine(e.Message)
		if e.Trial != "" {
			line = e.Trial + ": " + line
		}
	}
	if line != "" {
		fmt.Fprintf(p.out, "%s %s\n", e.Time.Local().Format("15:04:05"), line)
	}
}

// Close implements Renderer.
func (*plain) Close() {}

// jsonLines writes every event as it is.
type jsonLines struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

func newJSON(o Options) *jsonLines { return &jsonLines{encoder: json.NewEncoder(o.Out)} }

// Event implements orchestrator.Observer.
func (j *jsonLines) Event(e orchestrator.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = j.encoder.Encode(e) // Nothing can be said about a broken standard error.
}

// Close implements Renderer.
func (*jsonLines) Close() {}
