// Package progress shows the events of a run while it goes: redrawn lines on a terminal, plain lines in a log, or JSON.
package progress

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
)

// Modes are the values of --progress.
func Modes() []string { return []string{"auto", "tty", "plain", "json", "none"} }

// Renderer is an observer that has to be closed.
type Renderer interface {
	orchestrator.Observer
	// Close draws what is left and lets go of the terminal. No event may come after it.
	Close()
}

// Options say where and how to draw.
type Options struct {
	// Mode is one of Modes.
	Mode string
	Out  io.Writer
	// Terminal says that Out is one that can move its cursor; Width is its number of columns.
	Terminal bool
	Width    int
	Color    bool
	Clock    clock.WithTicker
}

// New returns the renderer for a mode.
func New(o Options) (Renderer, error) {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	mode := o.Mode
	if mode == "auto" || mode == "" {
		mode = "plain"
		if o.Terminal {
			mode = "tty"
		}
	}
	switch mode {
	case "tty":
		return newTTY(o), nil
	case "plain":
		return newPlain(o), nil
	case "json":
		return newJSON(o), nil
	case "none":
		return none{}, nil
	}
	return nil, errs.Hint(errs.Newf(errs.Usage, "unknown progress mode %q", o.Mode), "allowed modes are: %s", strings.Join(Modes(), ", "))
}

type none struct{}

func (none) Event(orchestrator.Event) {}
func (none) Close()                   {}

// outcome is the end of a trial in words: "graded  detection 1  localization 0", or the status and why.
func outcome(e orchestrator.Event) string {
	parts := []string{e.Message}
	if scores, ok := e.Fields["scores"].(map[string]any); ok {
		for _, task := range []string{"detection", "localization", "diagnosis", "mitigation"} {
			if value, ok := scores[task]; ok {
				parts = append(parts, fmt.Sprintf("%s %v", task, value))
			}
		}
	}
	if e.Error != "" {
		parts = append(parts, "("+render.OneLine(e.Error)+")")
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "  ")
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return fmt.Sprintf("%.1fs", s)
	}
	return d.Round(time.Millisecond).String()
}

func number(v any) int {
	switch n := v.(type) {
	case int:
		return n
	case int64:
		return int(n)
	case float64:
		return int(n)
	}
	return 0
}
