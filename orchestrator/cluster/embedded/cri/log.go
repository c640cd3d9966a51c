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
	readers map[*attached]struct{}
	early   *earlyOutput // What the first client gets of what was written before it came; nil when it gets nothing.
}

// logReader is an attached client. What it gets waits in a queue, so that a client that does not read never holds up the
// container; one that falls behind by the whole queue is let go.
type logReader struct {
	queue chan logChunk
	done  chan struct{} // Closed when everything that was queued has been written.
}

type logChunk struct {
	to   io.Writer
	data []byte
}

// readerQueue is by how many writes of the container a client may fall behind.
const readerQueue = 256

func (rd *logReader) run() {
	defer close(rd.done)
	for c := range rd.queue {
		if _, err := c.to.Write(c.data); err != nil {
			for range rd.queue { // The client is gone.
			}
		}
	}
}

// earlyOutput is what a container that waits for its one client (stdinOnce) has written before the client came. A node loses
// it, so kubectl run shows nothing of a command that is between its last word and its end when kubectl attaches. That takes
// bad luck on a node, but here all nodes share the processors.
type earlyOutput struct {
	chunks []earlyChunk
	size   int
}

type earlyChunk struct {
	stream string
	data   []byte
}

// maxEarly bounds what is kept, in bytes, and maxTurns how often it changes between the streams. A container that writes more is
// no short command, and its client gets what comes from then on.
const (
	maxEarly = 4 << 10
	maxTurns = readerQueue / 4
)

// add keeps data, or returns nil when it is too much.
func (e *earlyOutput) add(stream string, data []byte) *earlyOutput {
	if e == nil || e.size+len(data) > maxEarly {
		return nil
	}
	e.size += len(data)
	if n := len(e.chunks); n > 0 && e.chunks[n-1].stream == stream {
		e.chunks[n-1].data = append(e.chunks[n-1].data, data...)
		return e
	}
	if len(e.chunks) == maxTurns { // All of it has to fit into a client's queue.
		return nil
	}
	e.chunks = append(e.chunks, earlyChunk{stream, bytes.Clone(data)})
	return e
}

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

// attached is one attachment of a client to a container's output.
type attached struct {
	log         *logFile
	reader      *logReader
	out, errors io.Writer
}

// awaitClient keeps what is written until a first client comes, and gives it to that one.
func (l *logFile) awaitClient() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.early = &earlyOutput{}
}

// attach copies everything that is written from now on, after what was kept for a first client, to out and, where it is not nil,
// errors, until detach is called. reader.done is closed early when the client cannot keep up.
func (l *logFile) attach(out, errors io.Writer) *attached {
	a := &attached{l, &logReader{make(chan logChunk, readerQueue), make(chan struct{})}, out, errors}
	go a.reader.run()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers == nil {
		l.readers = map[*attached]struct{}{}
	}
	l.readers[a] = struct{}{}
	if l.early != nil {
		for _, c := range l.early.chunks {
			a.take(c.stream, c.data)
		}
		l.early = nil
	}
	return a
}

// detach ends the attachment. What is queued is still written; reader.done tells when.
func (a *attached) detach() {
	a.log.mu.Lock()
	defer a.log.mu.Unlock()
	a.drop()
}

// drop is detach for a caller that holds the log's lock.
func (a *attached) drop() {
	if _, ok := a.log.readers[a]; ok {
		delete(a.log.readers, a)
		close(a.reader.queue)
	}
}

// take queues what the container has written; the log's lock is held.
func (a *attached) take(stream string, data []byte) {
	to := a.out
	if stream == "stderr" && a.errors != nil {
		to = a.errors
	}
	if to == nil {
		return
	}
	select {
	case a.reader.queue <- logChunk{to, bytes.Clone(data)}:
	default:
		a.drop()
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
	for a := range s.log.readers {
		a.take(s.name, plainTrace(p))
	}
	s.log.early = s.log.early.add(s.name, plainTrace(p))
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

// flush writes a last line that has no end, which makes it a part of one, as containerd has it.
func (s *logStream) flush() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.line = s.line[:0]
	if len(s.rest) > 0 {
		s.entry('P', s.rest)
		s.rest = nil
	}
	s.write()
}

func (s *logStream) entry(tag byte, text []byte) {
	s.line = s.log.clock.Now().UTC().AppendFormat(s.line, time.RFC3339Nano)
	s.line = append(s.line, ' ')
	s.line = append(s.line, s.name...)
	s.line = append(s.line, ' ', tag, ' ')
	s.line = append(s.line, plainTrace(text)...)
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
