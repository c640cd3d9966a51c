package cri

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// maxLogLine is where a line is cut into parts marked P, as container runtimes do.
const maxLogLine = 16 << 10

// logFile is a container's log in the kubelet's format: time, stream, F (whole line) or P (part), text.
type logFile struct {
	path  string
	clock clock.Clock

	mu      sync.Mutex
	file    *os.File
	readers map[*logReader]struct{}
}

// logReader is an attached client.
type logReader struct{ out, err io.Writer }

// reopen opens the file at path, and makes it when it is not there.
func (l *logFile) reopen() error {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o755); err != nil {
		return fmt.Errorf("make log directory: %w", err)
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("open container log: %w", err)
	}
	l.mu.Lock()
	old := l.file
	l.file = f
	l.mu.Unlock()
	if old != nil {
		_ = old.Close()
	}
	return nil
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}

// attach copies everything that is written from now on to the reader as well, until the returned function is called.
func (l *logFile) attach(out, err io.Writer) (detach func()) {
	rd := &logReader{out, err}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers == nil {
		l.readers = map[*logReader]struct{}{}
	}
	l.readers[rd] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.readers, rd)
	}
}

// stream returns a writer for the stream called name: stdout or stderr. It is for one goroutine.
func (l *logFile) stream(name string) io.Writer { return &logStream{log: l, name: name} }

type logStream struct {
	log  *logFile
	name string
	rest []byte // The unfinished line.
	line []byte // Scratch.
}

// Write never fails: a container must not stop because its log does.
func (s *logStream) Write(p []byte) (int, error) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for rd := range s.log.readers {
		to := rd.out
		if s.name == "stderr" && rd.err != nil {
			to = rd.err
		}
		if to != nil {
			if _, err := to.Write(p); err != nil {
				delete(s.log.readers, rd)
			}
		}
	}
	s.line = s.line[:0]
	for rest := p; len(rest) > 0; {
		text, after, whole := bytes.Cut(rest, []byte{'\n'})
		rest = after
		s.rest = append(s.rest, text...)
		for len(s.rest) > maxLogLine {
			s.entry('P', s.rest[:maxLogLine])
			s.rest = append(s.rest[:0], s.rest[maxLogLine:]...)
		}
		if whole {
			s.entry('F', s.rest)
			s.rest = s.rest[:0]
		}
	}
	s.write()
	return len(p), nil
}

// flush writes a last line that has no end.
func (s *logStream) flush() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.line = s.line[:0]
	if len(s.rest) > 0 {
		s.entry('F', s.rest)
		s.rest = nil
	}
	s.write()
}

func (s *logStream) entry(tag byte, text []byte) {
	s.line = s.log.clock.Now().UTC().AppendFormat(s.line, time.RFC3339Nano)
	s.line = append(s.line, ' ')
	s.line = append(s.line, s.name...)
	s.line = append(s.line, ' ', tag, ' ')
	s.line = append(s.line, text...)
	s.line = append(s.line, '\n')
}

func (s *logStream) write() {
	if s.log.file != nil && len(s.line) > 0 {
		_, _ = s.log.file.Write(s.line)
	}
	if cap(s.line) > 4*maxLogLine {
		s.line = nil
	}
}
