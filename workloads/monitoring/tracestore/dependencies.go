package tracestore

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Dependency is one edge of the call graph. Jaeger's own has parent, child and callCount; errors and durations are what
// the caller saw. Durations are in microseconds.
type Dependency struct {
	Parent     string `json:"parent"`
	Child      string `json:"child"`
	CallCount  uint64 `json:"callCount"`
	ErrorCount uint64 `json:"errorCount"`
	P50        uint64 `json:"durationP50"`
	P95        uint64 `json:"durationP95"`
}

// edge collects the calls of one Dependency.
type edge struct {
	calls, errors uint64
	took          []uint64
}

// maxDurations bounds the calls that an edge's quantiles are taken from.
const maxDurations = 4096

// Dependencies returns the edges of the traces that started between from and to, sorted. What sends no spans itself, a
// store for example, appears under the name by which its callers call it.
func (s *Store) Dependencies(from, to time.Time) []Dependency {
	s.mu.Lock()
	defer s.mu.Unlock()
	edges := map[[2]string]*edge{}
	lo, hi := uint64(max(from.UnixNano(), 0)), uint64(max(to.UnixNano(), 0)) //nolint:gosec // not negative.
	for _, t := range s.queue {
		if t.first < lo || t.first > hi {
			continue
		}
		s.addEdges(t, edges)
	}
	out := make([]Dependency, 0, len(edges))
	for key, e := range edges {
		slices.Sort(e.took)
		out = append(out, Dependency{key[0], key[1], e.calls, e.errors, quantile(e.took, 0.5), quantile(e.took, 0.95)})
	}
	slices.SortFunc(out, func(a, b Dependency) int {
		return cmp.Or(strings.Compare(a.Parent, b.Parent), strings.Compare(a.Child, b.Child))
	})
	return out
}

func quantile(sorted []uint64, q float64) uint64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// link is what the edges of a trace are found from.
type link struct {
	parent  spanID
	service string
	client  bool
	peer    string
	failed  bool
	took    uint64
	answer  bool // a span of another service hangs on it
}

func (s *Store) addEdges(t *trace, edges map[[2]string]*edge) {
	links := make(map[spanID]*link, t.count)
	s.each(t, func(sp *span) {
		l := &link{parent: sp.parent, service: s.processes[sp.process].service, failed: sp.status == statusError, took: sp.duration() / 1000}
		if sp.kind == kindClient || sp.kind == kindProducer {
			l.client, l.peer = true, peer(sp)
		}
		links[sp.id] = l
	})
	add := func(parent, child string, l *link) {
		key := [2]string{parent, child}
		e := edges[key]
		if e == nil {
			e = &edge{}
			edges[key] = e
		}
		e.calls++
		if l.failed {
			e.errors++
		}
		if len(e.took) < maxDurations {
			e.took = append(e.took, l.took)
		}
	}
	for _, l := range links {
		p := links[l.parent]
		if p == nil || p.service == l.service {
			continue
		}
		if !p.client {
			add(p.service, l.service, l)
		} else if !p.answer {
			p.answer = true
			add(p.service, l.service, p)
		}
	}
	for _, l := range links {
		if l.client && !l.answer && l.peer != "" && l.peer != l.service {
			add(l.service, l.peer, l)
		}
	}
}

// peer names whom a client span called, as far as the span tells.
func peer(sp *span) string {
	if name := sp.attr("peer.service"); name != "" {
		return name
	}
	for _, key := range []string{"server.address", "net.peer.name"} {
		if host := sp.attr(key); host != "" {
			if _, err := netip.ParseAddr(host); err == nil {
				continue
			}
			// The Service's name, without its namespace and domain.
			name, _, _ := strings.Cut(host, ".")
			name, _, _ = strings.Cut(name, ":")
			return name
		}
	}
	return cmp.Or(sp.attr("db.system.name"), sp.attr("db.system"), sp.attr("messaging.system"))
}
