package tracestore

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Query selects traces: those with a span that matches every condition that is set.
type Query struct {
	Service   string
	Operation string
	Tags      map[string]string
	// MinDuration and MaxDuration bound the span's duration.
	MinDuration, MaxDuration time.Duration
	// From and To bound the span's start.
	From, To time.Time
	// Limit is the highest number of traces, the latest first.
	Limit int
}

// found is one trace outside the store.
type found struct {
	id        traceID
	spans     []span
	processes map[int]process
}

// find returns the traces that match q, the latest first.
func (s *Store) find(q Query) []found {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []found
	for _, t := range slices.Backward(s.queue) {
		if len(out) >= q.Limit {
			break
		}
		if s.matches(t, q) {
			out = append(out, s.found(t))
		}
	}
	slices.SortStableFunc(out, func(a, b found) int { return cmp.Compare(b.spans[0].start, a.spans[0].start) })
	return out
}

// get returns one trace.
func (s *Store) get(id traceID) (found, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.traces[id]
	if !ok || t.count == 0 {
		return found{}, false
	}
	return s.found(t), true
}

func (s *Store) found(t *trace) found {
	f := found{t.id, s.all(t), map[int]process{}}
	for _, p := range t.processes {
		f.processes[p] = s.processes[p]
	}
	return f
}

func (s *Store) matches(t *trace, q Query) bool {
	if q.Service != "" && !slices.ContainsFunc(t.processes, func(p int) bool { return s.processes[p].service == q.Service }) {
		return false
	}
	if !q.To.IsZero() && t.first > uint64(q.To.UnixNano()) { //nolint:gosec // times after 1970.
		return false
	}
	ok := false
	r := reader{t.spans, s.words}
	sp := span{trace: t.id}
	for len(r.b) > 0 && !ok {
		r.decode(&sp)
		ok = s.spanMatches(&sp, q)
	}
	return ok
}

func (s *Store) spanMatches(sp *span, q Query) bool {
	p := s.processes[sp.process]
	took := time.Duration(sp.duration())             //nolint:gosec // durations fit.
	switch start := time.Unix(0, int64(sp.start)); { //nolint:gosec // times fit.
	case q.Service != "" && p.service != q.Service,
		q.Operation != "" && sp.name != q.Operation,
		q.MinDuration > 0 && took < q.MinDuration,
		q.MaxDuration > 0 && took > q.MaxDuration,
		!q.From.IsZero() && start.Before(q.From),
		!q.To.IsZero() && start.After(q.To):
		return false
	}
	for key, want := range q.Tags {
		if !sp.hasTag(key, want, p) {
			return false
		}
	}
	return true
}

// hasTag reports whether the span, its events or its process carries the tag, as Jaeger's own stores match.
func (s *span) hasTag(key, want string, p process) bool {
	match := func(a attribute) bool { return a.key == key && a.text() == want }
	if slices.ContainsFunc(s.attrs, match) || slices.ContainsFunc(s.derived(), match) || slices.ContainsFunc(p.attrs, match) {
		return true
	}
	return slices.ContainsFunc(s.events, func(e event) bool { return slices.ContainsFunc(e.attrs, match) })
}

// derived are the tags that Jaeger makes of an OpenTelemetry span's other fields.
func (s *span) derived() []attribute {
	var out []attribute
	if k := s.kind.String(); k != "" {
		out = append(out, attribute{key: "span.kind", str: k})
	}
	switch s.status {
	case 1:
		out = append(out, attribute{key: "otel.status_code", str: "OK"})
	case statusError:
		out = append(out, attribute{key: "otel.status_code", str: "ERROR"}, attribute{key: "error", typ: typeBool, num: 1})
	}
	if s.message != "" {
		out = append(out, attribute{key: "otel.status_description", str: s.message})
	}
	if s.scope != "" {
		out = append(out, attribute{key: "otel.scope.name", str: s.scope})
	}
	return out
}

// Services returns the names of the services that have sent spans, sorted.
func (s *Store) Services() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []string{}
	for name := range s.services {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Operation is the name of a service's spans of one kind.
type Operation struct {
	Name string `json:"name"`
	Kind string `json:"spanKind"`
}

// Operations returns the operations of a service among the stored spans, sorted. An empty kind means every kind.
func (s *Store) Operations(service, spanKind string) []Operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := map[Operation]bool{}
	for _, t := range s.queue {
		if !slices.ContainsFunc(t.processes, func(p int) bool { return s.processes[p].service == service }) {
			continue
		}
		s.each(t, func(sp *span) {
			if s.processes[sp.process].service == service && (spanKind == "" || sp.kind.String() == spanKind) {
				set[Operation{sp.name, sp.kind.String()}] = true
			}
		})
	}
	out := []Operation{}
	for o := range set {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b Operation) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Kind, b.Kind))
	})
	return out
}
