package progress_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/gameday-bench/gameday/cmd/internal/progress"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
)

func events() []orchestrator.Event {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	return []orchestrator.Event{
		{Time: at, Type: orchestrator.RunStarted, Message: "runs/x", Fields: map[string]any{"trials": 2}},
		{Time: at, Type: orchestrator.TrialStarted, Trial: "p/a/1"},
		{Time: at, Type: orchestrator.PhaseStarted, Trial: "p/a/1", Phase: orchestrator.Deploy},
		{Time: at.Add(3 * time.Second), Type: orchestrator.PhaseFinished, Trial: "p/a/1", Phase: orchestrator.Deploy, Seconds: 3.21},
		{Time: at.Add(9 * time.Second), Type: orchestrator.TrialFinished, Trial: "p/a/1", Message: "infra_error", Seconds: 9, Error: "no\nnode"},
		{Time: at.Add(9 * time.Second), Type: orchestrator.TrialRetried, Trial: "p/a/1", Message: "infra_error"},
		{Time: at.Add(9 * time.Second), Type: orchestrator.TrialStarted, Trial: "p/a/1"},
		{Time: at.Add(99 * time.Second), Type: orchestrator.TrialFinished, Trial: "p/a/1", Message: "graded", Seconds: 90,
			Fields: map[string]any{"scores": map[string]any{"detection": 1.0, "mitigation": 0.0}}},
		{Time: at.Add(99 * time.Second), Type: orchestrator.RunFinished, Message: "runs/x"},
	}
}

func draw(t *testing.T, o progress.Options) string {
	t.Helper()
	var out bytes.Buffer
	o.Out = &out
	o.Clock = clocktesting.NewFakeClock(time.Date(2026, 1, 2, 3, 4, 15, 0, time.Local))
	r, err := progress.New(o)
	require.NoError(t, err)
	for _, e := range events() {
		r.Event(e)
	}
	r.Close()
	return out.String()
}

func TestPlain(t *testing.T) {
	t.Parallel()
	require.Equal(t, `03:04:05 run of 2 trials in runs/x
03:04:05 p/a/1: started
03:04:08 p/a/1: deploy 3.2s
03:04:14 p/a/1: infra_error  (no node) after 9.0s [1/2]
03:04:14 p/a/1: tried again after infra_error
03:04:14 p/a/1: started
03:05:44 p/a/1: graded  detection 1  mitigation 0 after 1m30s [1/2]
`, draw(t, progress.Options{Mode: "auto"}))
}

func TestJSON(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(draw(t, progress.Options{Mode: "json"})), "\n")
	require.Len(t, lines, len(events()))
	var last orchestrator.Event
	require.NoError(t, json.Unmarshal([]byte(lines[8]), &last))
	require.Equal(t, orchestrator.RunFinished, last.Type)
}

func TestNone(t *testing.T) {
	t.Parallel()
	require.Empty(t, draw(t, progress.Options{Mode: "none"}))
	_, err := progress.New(progress.Options{Mode: "fancy"})
	require.Equal(t, errs.Usage, errs.PartyOf(err))
}

// TestTTY plays the output on a terminal of its own and looks at what is on the screen.
func TestTTY(t *testing.T) {
	t.Parallel()
	raw := draw(t, progress.Options{Mode: "auto", Terminal: true, Width: 60})
	require.Equal(t, []string{
		"run of 2 trials in runs/x",
		"✗ p/a/1  infra_error  (no node)  9.0s",
		"  p/a/1  tried again after infra_error",
		"✓ p/a/1  graded  detection 1  mitigation 0  1m30s",
		"1 of 2 trials, 10s",
	}, screen(raw))
	require.Contains(t, raw, "⠋ p/a/1  deploy 10s  (10s)\n0 of 2 trials, 10s\n")
	require.NotContains(t, raw, "\x1b[32m")
	require.Contains(t, draw(t, progress.Options{Mode: "tty", Color: true}), "\x1b[32m✓\x1b[0m")
}

// screen understands line feeds, cursor up and erase below.
func screen(raw string) []string {
	var lines []string
	row := 0
	for raw != "" {
		if rest, ok := strings.CutPrefix(raw, "\x1b["); ok {
			n := int(rest[0] - '0')
			row -= n
			raw = strings.TrimPrefix(rest[1:], "A\x1b[J")
			lines = lines[:row]
			continue
		}
		text, rest, _ := strings.Cut(raw, "\n")
		lines = append(lines[:row], text)
		row++
		raw = rest
	}
	return lines
}
