package stdio

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
)

// lineReader reads bounded lines in a goroutine of its own, which ends with the stream.
type lineReader struct {
	lines chan []byte
	// err is set before lines is closed.
	err error
}

func newLineReader(r io.Reader, limits Limits) *lineReader {
	l := &lineReader{lines: make(chan []byte)}
	go func() {
		defer close(l.lines)
		l.err = l.read(bufio.NewReaderSize(r, 64<<10), limits)
	}()
	return l
}

func (l *lineReader) read(r *bufio.Reader, limits Limits) error {
	var total int64
	for {
		var line []byte
		for {
			part, err := r.ReadSlice('\n')
			line = append(line, part...)
			total += int64(len(part))
			switch {
			case len(line) > limits.Line:
				return errs.With(errs.Agent, fmt.Errorf("%w: a line of more than %d bytes", ErrFlood, limits.Line))
			case total > limits.Total:
				return errs.With(errs.Agent, fmt.Errorf("%w: more than %d bytes in all", ErrFlood, limits.Total))
			case errors.Is(err, bufio.ErrBufferFull):
				continue
			case err != nil && len(bytes.TrimSpace(line)) == 0:
				return io.EOF
			}
			break
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		l.lines <- line
	}
}

// next returns the next line, io.EOF at the end, ErrHang after idle of silence while nothing is busy, or what ended ctx.
func (l *lineReader) next(ctx context.Context, idle time.Duration, busy func() bool) ([]byte, error) {
	for {
		var silence <-chan time.Time
		var timer *time.Timer
		if idle > 0 {
			timer = time.NewTimer(idle)
			silence = timer.C
		}
		select {
		case line, ok := <-l.lines:
			if timer != nil {
				timer.Stop()
			}
			if !ok {
				return nil, l.err
			}
			return line, nil
		case <-silence:
			if !busy() {
				return nil, errs.With(errs.Agent, fmt.Errorf("%w: %s", ErrHang, idle))
			}
		case <-ctx.Done():
			if timer != nil {
				timer.Stop()
			}
			return nil, context.Cause(ctx)
		}
	}
}

// drain lets the reader's goroutine end when nobody asks for lines any more. The stream must end by itself.
func (l *lineReader) drain() {
	for range l.lines {
	}
}

// boundedWriter passes on the first bytes of a stream and counts the rest. It is safe for concurrent use.
type boundedWriter struct {
	mu      sync.Mutex
	to      io.Writer
	left    int64
	dropped int64
}

func (b *boundedWriter) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(int64(len(p)), b.left)
	if n > 0 {
		// A log that cannot be written must not stop the agent.
		_, _ = b.to.Write(p[:n])
		b.left -= n
	}
	b.dropped += int64(len(p)) - n
	return len(p), nil
}

func (b *boundedWriter) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dropped > 0 {
		fmt.Fprintf(b.to, "\n[%d bytes more were dropped]\n", b.dropped)
	}
}
