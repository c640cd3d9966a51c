package aci

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

type searchArgs struct {
	Service     string  `json:"service" jsonschema:"The service's name; * for every service that has traces."`
	Operation   string  `json:"operation,omitempty" jsonschema:"Only traces with this operation."`
	MinDuration float64 `json:"min_duration_ms,omitempty" jsonschema:"Only traces at least this long."`
	ErrorsOnly  bool    `json:"errors_only,omitempty" jsonschema:"Only traces with an error."`
	Lookback    int     `json:"lookback_seconds,omitempty" jsonschema:"How far back; 300 by default."`
	Limit       int     `json:"limit,omitempty" jsonschema:"How many traces at most; 20 by default, up to 200."`
}

type traceArgs struct {
	TraceID string `json:"trace_id" jsonschema:"The trace's id, from search_traces."`
}

const (
	defaultLookback = 300
	maxTraces       = 200
)

// jaegerTrace is Jaeger's JSON of one trace; times are microseconds.
type jaegerTrace struct {
	TraceID   string       `json:"traceID"`
	Spans     []jaegerSpan `json:"spans"`
	Processes map[string]struct {
		ServiceName string      `json:"serviceName"`
		Tags        []jaegerTag `json:"tags"`
	} `json:"processes"`
}

type jaegerSpan struct {
	SpanID        string `json:"spanID"`
	OperationName string `json:"operationName"`
	References    []struct {
		RefType string `json:"refType"`
		SpanID  string `json:"spanID"`
	} `json:"references"`
	StartTime int64       `json:"startTime"`
	Duration  int64       `json:"duration"`
	Tags      []jaegerTag `json:"tags"`
	ProcessID string      `json:"processID"`
}

type jaegerTag struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

func tagValue(tags []jaegerTag, keys ...string) string {
	for _, key := range keys {
		for _, t := range tags {
			if t.Key == key {
				return fmt.Sprint(t.Value)
			}
		}
	}
	return ""
}

func (sp jaegerSpan) failed() bool {
	return tagValue(sp.Tags, "error") == "true" || tagValue(sp.Tags, "otel.status_code") == "ERROR"
}

func (sp jaegerSpan) parent() string {
	for _, ref := range sp.References {
		if ref.RefType == "CHILD_OF" {
			return ref.SpanID
		}
	}
	return ""
}

// fetchTraces finds traces of one service, or of all.
func (s *Session) fetchTraces(ctx context.Context, a searchArgs) ([]jaegerTrace, error) {
	services := []string{a.Service}
	if a.Service == "*" || a.Service == "" {
		services = nil
		if err := s.ask(ctx, s.config.Jaeger, "/api/services", nil, &services); err != nil {
			return nil, err
		}
	}
	if a.Lookback <= 0 {
		a.Lookback = defaultLookback
	}
	a.Limit = min(max(a.Limit, 0), maxTraces)
	if a.Limit == 0 {
		a.Limit = 20
	}
	now := s.config.Clock.Now()
	query := url.Values{
		"limit": {strconv.Itoa(a.Limit)}, "end": {strconv.FormatInt(now.UnixMicro(), 10)},
		"start":    {strconv.FormatInt(now.Add(-time.Duration(a.Lookback)*time.Second).UnixMicro(), 10)},
		"lookback": {"custom"},
	}
	if a.Operation != "" {
		query.Set("operation", a.Operation)
	}
	if a.MinDuration > 0 {
		query.Set("minDuration", strconv.FormatFloat(a.MinDuration, 'f', -1, 64)+"ms")
	}
	if a.ErrorsOnly {
		query.Set("tags", `{"error":"true"}`)
	}
	seen := map[string]bool{}
	var found []jaegerTrace
	for _, service := range services {
		query.Set("service", service)
		var traces []jaegerTrace
		if err := s.ask(ctx, s.config.Jaeger, "/api/traces", query, &traces); err != nil {
			return nil, err
		}
		for _, t := range traces {
			if !seen[t.TraceID] && len(t.Spans) > 0 {
				seen[t.TraceID] = true
				found = append(found, t)
			}
		}
	}
	return found, nil
}

// traceSummary is one line of search_traces.
type traceSummary struct {
	TraceID    string    `json:"traceId"`
	Root       string    `json:"root"`
	Start      time.Time `json:"start"`
	DurationMS float64   `json:"durationMs"`
	Spans      int       `json:"spans"`
	Services   []string  `json:"services"`
	Errors     []string  `json:"errors,omitempty"`
	// Slowest is where most time was spent outside of children.
	Slowest   string  `json:"slowest"`
	SlowestMS float64 `json:"slowestSelfMs"`
}

func (s *Session) searchTraces(ctx context.Context, a searchArgs) output {
	traces, err := s.fetchTraces(ctx, a)
	if err != nil {
		return failed("query_failed: %v", err)
	}
	if len(traces) == 0 {
		return text("(no traces)\n")
	}
	slices.SortFunc(traces, func(a, b jaegerTrace) int {
		return cmp.Or(cmp.Compare(b.root().Duration, a.root().Duration), cmp.Compare(a.TraceID, b.TraceID))
	})
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, t := range traces {
		if err := enc.Encode(t.summary()); err != nil {
			return failed("encode answer: %v", err)
		}
	}
	return text(b.String())
}

// root is the span without a parent in the trace, else the first that started.
func (t jaegerTrace) root() jaegerSpan {
	ids := map[string]bool{}
	for _, sp := range t.Spans {
		ids[sp.SpanID] = true
	}
	first := t.Spans[0]
	for _, sp := range t.Spans {
		if !ids[sp.parent()] {
			return sp
		}
		if sp.StartTime < first.StartTime {
			first = sp
		}
	}
	return first
}

func (t jaegerTrace) service(sp jaegerSpan) string { return t.Processes[sp.ProcessID].ServiceName }

func (t jaegerTrace) summary() traceSummary {
	root := t.root()
	out := traceSummary{
		TraceID: t.TraceID, Root: t.service(root) + " " + root.OperationName, Start: time.UnixMicro(root.StartTime).UTC(),
		DurationMS: ms(root.Duration), Spans: len(t.Spans),
	}
	children := map[string]int64{}
	services := map[string]bool{}
	for _, sp := range t.Spans {
		children[sp.parent()] += sp.Duration
		services[t.service(sp)] = true
		if sp.failed() && len(out.Errors) < 5 {
			message := tagValue(sp.Tags, "otel.status_description", "exception.message", "error.message")
			out.Errors = append(out.Errors, strings.TrimSpace(t.service(sp)+" "+sp.OperationName+": "+message))
		}
	}
	out.Services = slices.Sorted(maps.Keys(services))
	var most int64 = -1
	for _, sp := range t.Spans {
		if self := sp.Duration - children[sp.SpanID]; self > most {
			most = self
			out.Slowest, out.SlowestMS = t.service(sp)+" "+sp.OperationName, ms(self)
		}
	}
	return out
}

func ms(micros int64) float64 { return float64(micros) / 1000 }

func (s *Session) getTrace(ctx context.Context, a traceArgs) output {
	var traces []jaegerTrace
	if err := s.ask(ctx, s.config.Jaeger, "/api/traces/"+url.PathEscape(a.TraceID), nil, &traces); err != nil {
		return failed("query_failed: %v", err)
	}
	if len(traces) == 0 || len(traces[0].Spans) == 0 {
		return failed("there is no trace %q", a.TraceID)
	}
	var b strings.Builder
	t := traces[0]
	ids := map[string]bool{}
	for _, sp := range t.Spans {
		ids[sp.SpanID] = true
	}
	children := map[string][]jaegerSpan{}
	for _, sp := range t.Spans {
		parent := sp.parent()
		if !ids[parent] {
			parent = ""
		}
		children[parent] = append(children[parent], sp)
	}
	t.tree(&b, children, "", 0, t.root().StartTime)
	return text(b.String())
}

// maxDepth stops a trace whose spans are their own ancestors.
const maxDepth = 64

func (t jaegerTrace) tree(b *strings.Builder, children map[string][]jaegerSpan, parent string, depth int, zero int64) {
	spans := children[parent]
	if depth > maxDepth {
		return
	}
	slices.SortFunc(spans, func(a, b jaegerSpan) int {
		return cmp.Or(cmp.Compare(a.StartTime, b.StartTime), cmp.Compare(a.SpanID, b.SpanID))
	})
	for _, sp := range spans {
		process := t.Processes[sp.ProcessID]
		fmt.Fprintf(b, "%s%s %s +%.1fms %.1fms", strings.Repeat("  ", depth), process.ServiceName, sp.OperationName,
			ms(sp.StartTime-zero), ms(sp.Duration))
		for _, key := range []string{"span.kind", "k8s.pod.name", "k8s.node.name", "service.version", "rpc.grpc.status_code", "http.response.status_code", "db.system.name", "db.query.text", "peer.service", "server.address"} {
			if v := cmp.Or(tagValue(sp.Tags, key), tagValue(process.Tags, key)); v != "" {
				fmt.Fprintf(b, " %s=%s", key, v)
			}
		}
		if sp.failed() {
			fmt.Fprintf(b, " ERROR %s", tagValue(sp.Tags, "otel.status_description", "exception.message", "error.message"))
		}
		b.WriteByte('\n')
		t.tree(b, children, sp.SpanID, depth+1, zero)
	}
}
