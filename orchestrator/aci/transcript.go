package aci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Entry is one call of the transcript, as the agent saw it.
type Entry struct {
	// Seq counts entries from 1, in the order in which calls ended; Step counts calls in the order in which they started.
	Seq  int             `json:"seq"`
	Step int             `json:"step"`
	Tool string          `json:"tool"`
	Args json.RawMessage `json:"args,omitempty"`
	// Start is UTC.
	Start      time.Time `json:"start"`
	DurationMS float64   `json:"durationMs"`
	Output     string    `json:"output"`
	IsError    bool      `json:"isError,omitempty"`
	Truncated  bool      `json:"truncated,omitempty"`
	// OutputBytes is the length of the whole output.
	OutputBytes int `json:"outputBytes"`
}

// JSONLines returns a Config.Transcript that writes one JSON object per line to w.
func JSONLines(w io.Writer) func(Entry) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return func(e Entry) error { return enc.Encode(e) }
}

// recorder numbers entries and hands them on. A transcript that cannot be written does not stop the trial: the first
// failure is reported when the session is closed.
type recorder struct {
	mu      sync.Mutex
	write   func(Entry) error
	seq     int
	failure error
}

func newRecorder(write func(Entry) error) *recorder { return &recorder{write: write} }

func (r *recorder) record(e Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	e.Seq = r.seq
	if r.write == nil {
		return
	}
	if err := r.write(e); err != nil && r.failure == nil {
		r.failure = fmt.Errorf("write transcript: %w", err)
	}
}

func (r *recorder) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.failure)
}
