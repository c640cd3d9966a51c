package aci

import (
	"cmp"
	"context"
	"maps"
	"net"
	"slices"
	"strings"
)

type graphArgs struct {
	Lookback int `json:"lookback_seconds,omitempty" jsonschema:"How far back; 300 by default."`
}

// graphEdge is one call relation of get_service_graph.
type graphEdge struct {
	Caller string `json:"caller"`
	Callee string `json:"callee"`
	Calls  int    `json:"calls"`
	Errors int    `json:"errors"`
	// P50MS and P99MS are what the caller waited; CalleeP50MS is what the callee worked, where it has spans of its own. The
	// difference is the way between them.
	P50MS       float64 `json:"p50Ms"`
	P99MS       float64 `json:"p99Ms"`
	CalleeP50MS float64 `json:"calleeP50Ms,omitempty"`
}

// graphTraces is how many traces of each service the graph is drawn from.
const graphTraces = 40

// nameAddresses gives callees that are known by their Service's address only (nobody answered there) that Service's name.
func (s *Session) nameAddresses(ctx context.Context, in edges) edges {
	if !slices.ContainsFunc(slices.Collect(maps.Keys(in)), func(pair [2]string) bool { return net.ParseIP(pair[1]) != nil }) {
		return in
	}
	list := s.kubectlArgv(ctx, "get", "services", "--all-namespaces", "--no-headers", "-o", "custom-columns=I:.spec.clusterIP,N:.metadata.name")
	names := map[string]string{}
	for line := range strings.Lines(list.text) {
		if f := strings.Fields(line); len(f) == 2 && net.ParseIP(f[0]) != nil {
			names[f[0]] = f[1]
		}
	}
	out := edges{}
	for pair, c := range in {
		to := out.at(pair[0], cmp.Or(names[pair[1]], pair[1]))
		to.caller, to.callee, to.errors = append(to.caller, c.caller...), append(to.callee, c.callee...), to.errors+c.errors
	}
	return out
}

// calls are the calls of one edge; durations are microseconds.
type calls struct {
	caller, callee []int64
	errors         int
}

type edges map[[2]string]*calls

func (e edges) at(caller, callee string) *calls {
	key := [2]string{caller, callee}
	if e[key] == nil {
		e[key] = &calls{}
	}
	return e[key]
}

func (s *Session) serviceGraph(ctx context.Context, a graphArgs) output {
	traces, err := s.fetchTraces(ctx, searchArgs{Service: "*", Lookback: a.Lookback, Limit: graphTraces})
	if err != nil {
		return failed("query_failed: %v", err)
	}
	all := edges{}
	for _, t := range traces {
		all.add(t)
	}
	all = s.nameAddresses(ctx, all)
	out := []graphEdge{}
	for pair, c := range all {
		out = append(out, graphEdge{
			Caller: pair[0], Callee: pair[1], Calls: len(c.caller), Errors: c.errors,
			P50MS: quantile(c.caller, 50), P99MS: quantile(c.caller, 99), CalleeP50MS: quantile(c.callee, 50),
		})
	}
	slices.SortFunc(out, func(a, b graphEdge) int {
		return cmp.Or(cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Callee, b.Callee))
	})
	return jsonText(out)
}

// add finds the calls of one trace: a span whose parent is in another service, and a client span of something without
// spans of its own (a store, or a service that was never reached).
func (e edges) add(t jaegerTrace) {
	byID := map[string]jaegerSpan{}
	answered := map[string]bool{}
	for _, sp := range t.Spans {
		byID[sp.SpanID] = sp
	}
	for _, sp := range t.Spans {
		parent, ok := byID[sp.parent()]
		if !ok || t.service(parent) == t.service(sp) {
			continue
		}
		answered[parent.SpanID] = true
		c := e.at(t.service(parent), t.service(sp))
		c.caller, c.callee = append(c.caller, parent.Duration), append(c.callee, sp.Duration)
		if parent.failed() || sp.failed() {
			c.errors++
		}
	}
	for _, sp := range t.Spans {
		peer := tagValue(sp.Tags, "peer.service", "server.address")
		if peer == "" || answered[sp.SpanID] || tagValue(sp.Tags, "span.kind") == "server" {
			continue
		}
		c := e.at(t.service(sp), peer)
		c.caller = append(c.caller, sp.Duration)
		if sp.failed() {
			c.errors++
		}
	}
}

// quantile is the q-th percentile in milliseconds, 0 without samples.
func quantile(durations []int64, q int) float64 {
	if len(durations) == 0 {
		return 0
	}
	slices.Sort(durations)
	return ms(durations[min(len(durations)-1, len(durations)*q/100)])
}
