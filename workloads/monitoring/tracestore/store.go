// Package tracestore is the program that takes spans over OTLP, keeps the latest in memory, and answers Jaeger's query API.
package tracestore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Bounds of one trace and of the processes that have sent spans.
const (
	maxTraceBytes = 256 << 10
	maxProcesses  = 4096
	traceOverhead = 224 // a trace's fixed cost in bytes: the struct, its place in the map and in the queue
)

// Store keeps the latest traces, up to a number of bytes: the oldest go first. It is safe for concurrent use.
type Store struct {
	mu        sync.Mutex
	limit     int
	bytes     int
	traces    map[traceID]*trace
	queue     []*trace // in the order of their first span; queue[0] is the oldest
	words     *dictionary
	processes []process
	byKey     map[string]int
	services  map[string]bool

	received, evicted uint64
	scratch           []byte
}

// trace is one trace: its spans, encoded one after the other.
type trace struct {
	id        traceID
	spans     []byte
	count     int
	first     uint64 // the earliest start, in nanoseconds since the epoch
	cost      int
	processes []int
}

// process is who sent spans: an OpenTelemetry resource.
type process struct {
	service string
	attrs   []attribute
}

// NewStore returns an empty store that keeps at most limit bytes.
func NewStore(limit int) *Store {
	return &Store{
		limit: limit, traces: map[traceID]*trace{}, words: newDictionary(), byKey: map[string]int{}, services: map[string]bool{},
		processes: []process{{service: "unknown_service"}},
	}
}

// process returns the number of the process with these resource attributes. When there are too many, it is 0.
func (s *Store) process(attrs []attribute) int {
	attrs = slices.Clone(attrs)
	slices.SortFunc(attrs, func(a, b attribute) int { return cmp.Compare(a.key, b.key) })
	var key strings.Builder
	p := process{service: "unknown_service"}
	for _, a := range attrs {
		fmt.Fprintf(&key, "%s=%v\x00", a.key, a.value())
		if a.key == "service.name" {
			p.service = a.str
			continue
		}
		p.attrs = append(p.attrs, a)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.byKey[key.String()]; ok {
		return i
	}
	if len(s.processes) >= maxProcesses {
		return 0
	}
	s.processes = append(s.processes, p)
	s.byKey[key.String()] = len(s.processes) - 1
	return len(s.processes) - 1
}

// add stores one span.
func (s *Store) add(sp *span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received++
	s.services[s.processes[sp.process].service] = true
	t := s.traces[sp.trace]
	if t == nil {
		t = &trace{id: sp.trace, first: sp.start, cost: traceOverhead}
		s.traces[sp.trace] = t
		s.queue = append(s.queue, t)
		s.bytes += t.cost
	}
	s.scratch = sp.encode(s.scratch[:0], s.words)
	if len(t.spans)+len(s.scratch) > maxTraceBytes {
		s.evicted++
		return
	}
	if need := len(t.spans) + len(s.scratch); need > cap(t.spans) {
		// Grown by half, not doubled: most traces are complete after a few batches.
		t.spans = append(make([]byte, 0, need+need/2), t.spans...)
	}
	t.spans = append(t.spans, s.scratch...)
	t.count++
	t.first = min(t.first, sp.start)
	if !slices.Contains(t.processes, sp.process) {
		t.processes = append(t.processes, sp.process)
	}
	cost := traceOverhead + cap(t.spans) + 8*cap(t.processes)
	s.bytes += cost - t.cost
	t.cost = cost
	s.evict()
}

// evict drops the oldest traces until the rest fits.
func (s *Store) evict() {
	for s.bytes > s.limit && len(s.queue) > 1 {
		t := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		s.bytes -= t.cost
		s.evicted += uint64(t.count)
		delete(s.traces, t.id)
	}
}

// Stats is what the store holds.
type Stats struct {
	Traces, Bytes     int
	Received, Evicted uint64
}

// Stats returns what the store holds and has held.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{len(s.traces), s.bytes, s.received, s.evicted}
}

// each calls fn for the spans of t; the span is used again. The lock is held.
func (s *Store) each(t *trace, fn func(*span)) {
	r := reader{t.spans, s.words}
	sp := span{trace: t.id}
	for len(r.b) > 0 {
		r.decode(&sp)
		fn(&sp)
	}
}

// all returns the spans of t. The lock is held.
func (s *Store) all(t *trace) []span {
	out := make([]span, 0, t.count)
	r := reader{t.spans, s.words}
	for len(r.b) > 0 {
		sp := span{trace: t.id}
		r.decode(&sp)
		out = append(out, sp)
	}
	slices.SortStableFunc(out, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	return out
}
