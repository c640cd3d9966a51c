package telemetry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Search selects traces: those with a span that matches every field that is set. Service is required.
type Search struct {
	Service     string
	Operation   string
	Tags        map[string]string
	MinDuration time.Duration
	// Lookback is how far back; 0 means an hour.
	Lookback time.Duration
	// Limit is the highest number of traces; 0 means 20.
	Limit int
}

// Trace is one trace. Spans are sorted by start.
type Trace struct {
	ID    string
	Spans []Span
}

// Span is one span of a trace.
type Span struct {
	ID, Parent string
	Service    string
	Operation  string
	Start      time.Time
	Duration   time.Duration
	// Failed is true for spans with an error status.
	Failed bool
	// Tags are the span's attributes; Process are those of the process that sent it.
	Tags, Process map[string]string
}

// Edge says that one service calls another, as seen in traces: what sends no spans itself appears under the name by which
// it is called. Errors and durations are what the caller saw.
type Edge struct {
	Parent, Child string
	Calls, Errors uint64
	P50, P95      time.Duration
}

// The JSON of Jaeger's query API, as far as it is read.
type (
	jaegerTrace struct {
		TraceID   string                   `json:"traceID"`
		Spans     []jaegerSpan             `json:"spans"`
		Processes map[string]jaegerProcess `json:"processes"`
	}
	jaegerSpan struct {
		SpanID     string `json:"spanID"`
		Operation  string `json:"operationName"`
		References []struct {
			RefType string `json:"refType"`
			SpanID  string `json:"spanID"`
		} `json:"references"`
		StartTime int64       `json:"startTime"`
		Duration  int64       `json:"duration"`
		Tags      []jaegerTag `json:"tags"`
		ProcessID string      `json:"processID"`
	}
	jaegerProcess struct {
		Service string      `json:"serviceName"`
		Tags    []jaegerTag `json:"tags"`
	}
	jaegerTag struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
	}
)

// Services returns the names of the services that have sent spans, sorted.
func (c *Client) Services(ctx context.Context) ([]string, error) {
	var out []string
	if err := c.get(ctx, c.jaeger, "/api/services", nil, &out); err != nil {
		return nil, fmt.Errorf("list services with traces: %w", err)
	}
	slices.Sort(out)
	return out, nil
}

// Traces returns the traces that match s, the latest first.
func (c *Client) Traces(ctx context.Context, s Search) ([]Trace, error) {
	v := url.Values{
		"service": {s.Service}, "lookback": {cmp.Or(s.Lookback, time.Hour).String()}, "limit": {strconv.Itoa(cmp.Or(s.Limit, 20))},
	}
	if s.Operation != "" {
		v.Set("operation", s.Operation)
	}
	if s.MinDuration > 0 {
		v.Set("minDuration", s.MinDuration.String())
	}
	if len(s.Tags) > 0 {
		tags, err := json.Marshal(s.Tags)
		if err != nil {
			return nil, fmt.Errorf("write tags: %w", err)
		}
		v.Set("tags", string(tags))
	}
	var data []jaegerTrace
	if err := c.get(ctx, c.jaeger, "/api/traces", v, &data); err != nil {
		return nil, fmt.Errorf("search traces: %w", err)
	}
	out := make([]Trace, 0, len(data))
	for _, t := range data {
		out = append(out, t.trace())
	}
	return out, nil
}

// Trace returns one trace. The error says so when there is none with this id.
func (c *Client) Trace(ctx context.Context, id string) (Trace, error) {
	var data []jaegerTrace
	if err := c.get(ctx, c.jaeger, "/api/traces/"+url.PathEscape(id), nil, &data); err != nil {
		return Trace{}, fmt.Errorf("get trace %s: %w", id, err)
	}
	if len(data) == 0 {
		return Trace{}, fmt.Errorf("get trace %s: trace not found", id)
	}
	return data[0].trace(), nil
}

// ServiceGraph returns the edges seen in the traces of the time before now, sorted.
func (c *Client) ServiceGraph(ctx context.Context, now time.Time, lookback time.Duration) ([]Edge, error) {
	var data []struct {
		Parent     string `json:"parent"`
		Child      string `json:"child"`
		CallCount  uint64 `json:"callCount"`
		ErrorCount uint64 `json:"errorCount"`
		P50        int64  `json:"durationP50"`
		P95        int64  `json:"durationP95"`
	}
	v := url.Values{"endTs": {strconv.FormatInt(now.UnixMilli(), 10)}, "lookback": {strconv.FormatInt(lookback.Milliseconds(), 10)}}
	if err := c.get(ctx, c.jaeger, "/api/dependencies", v, &data); err != nil {
		return nil, fmt.Errorf("read service graph: %w", err)
	}
	out := make([]Edge, 0, len(data))
	for _, d := range data {
		out = append(out, Edge{d.Parent, d.Child, d.CallCount, d.ErrorCount, micros(d.P50), micros(d.P95)})
	}
	slices.SortFunc(out, func(a, b Edge) int {
		return cmp.Or(strings.Compare(a.Parent, b.Parent), strings.Compare(a.Child, b.Child))
	})
	return out, nil
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func (t jaegerTrace) trace() Trace {
	out := Trace{ID: t.TraceID, Spans: make([]Span, 0, len(t.Spans))}
	for _, in := range t.Spans {
		p := t.Processes[in.ProcessID]
		s := Span{
			ID: in.SpanID, Service: p.Service, Operation: in.Operation, Start: time.UnixMicro(in.StartTime).UTC(),
			Duration: micros(in.Duration), Tags: tagMap(in.Tags), Process: tagMap(p.Tags),
		}
		for _, r := range in.References {
			if r.RefType == "CHILD_OF" {
				s.Parent = r.SpanID
			}
		}
		s.Failed = s.Tags["error"] == "true" || s.Tags["otel.status_code"] == "ERROR"
		out.Spans = append(out.Spans, s)
	}
	slices.SortStableFunc(out.Spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return out
}

func tagMap(tags []jaegerTag) map[string]string {
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		out[t.Key] = fmt.Sprint(t.Value)
	}
	return out
}
