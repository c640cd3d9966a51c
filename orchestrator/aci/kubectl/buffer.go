package kubectl

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
)

const (
	// maxOutput bounds what is kept of a command's output, and maxWritten what a command may write: the rest of a long log is
	// dropped, and who goes on for ever is stopped.
	maxOutput  = 4 << 20
	maxWritten = 256 << 20
)

var (
	errTooLong = fmt.Errorf("the output is longer than %d MiB", maxWritten>>20)
	errOver    = errors.New("the command is over")
)

// buffer collects a stream. It may be written to by a command that has been given up while it is read: printers end at the first
// write that fails.
type buffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	dropped int
	over    bool
}

func newBuffer() *buffer { return &buffer{} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.over:
		return 0, errOver
	case b.b.Len()+b.dropped+len(p) > maxWritten:
		return 0, errTooLong
	}
	kept := p[:min(len(p), maxOutput-b.b.Len())]
	b.dropped += len(p) - len(kept)
	b.b.Write(kept)
	return len(p), nil
}

// end makes every later write fail.
func (b *buffer) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
}

func (b *buffer) writeLine(s string) { fmt.Fprintln(b, strings.TrimSuffix(s, "\n")) }

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dropped > 0 {
		return b.b.String() + fmt.Sprintf("\n[%d bytes more were dropped]\n", b.dropped)
	}
	return b.b.String()
}
