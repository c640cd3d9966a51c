package kubectl

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
)

// maxOutput bounds what is kept of a command's output.
const maxOutput = 4 << 20

// buffer collects a stream. It may be written to by a command that has been given up while it is read.
type buffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	dropped int
}

func newBuffer() *buffer { return &buffer{} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	room := maxOutput - b.b.Len()
	if len(p) > room {
		b.dropped += len(p) - room
		b.b.Write(p[:room])
		return len(p), nil
	}
	return b.b.Write(p)
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
