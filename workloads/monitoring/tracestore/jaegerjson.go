package tracestore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The JSON of Jaeger's query API. Times are in microseconds.
type (
	answer struct {
		Data   any           `json:"data"`
		Total  int           `json:"total"`
		Limit  int           `json:"limit"`
		Offset int           `json:"offset"`
		Errors []answerError `json:"errors"`
	}
	answerError struct {
		Code    int    `json:"code"`
		Message string `json:"msg"`
		TraceID string `json:"traceID,omitempty"`
	}
	jsonTrace struct {
		TraceID   string                 `json:"traceID"`
		Spans     []jsonSpan             `json:"spans"`
		Processes map[string]jsonProcess `json:"processes"`
		Warnings  []string               `json:"warnings"`
	}
	jsonSpan struct {
		TraceID    string          `json:"traceID"`
		SpanID     string          `json:"spanID"`
		Operation  string          `json:"operationName"`
		References []jsonReference `json:"references"`
		StartTime  uint64          `json:"startTime"`
		Duration   uint64          `json:"duration"`
		Tags       []jsonTag       `json:"tags"`
		Logs       []jsonLog       `json:"logs"`
		ProcessID  string          `json:"processID"`
		Warnings   []string        `json:"warnings"`
	}
	jsonReference struct {
		RefType string `json:"refType"`
		TraceID string `json:"traceID"`
		SpanID  string `json:"spanID"`
	}
	jsonTag struct {
		Key   string `json:"key"`
		Type  string `json:"type"`
		Value any    `json:"value"`
	}
	jsonLog struct {
		Timestamp uint64    `json:"timestamp"`
		Fields    []jsonTag `json:"fields"`
	}
	jsonProcess struct {
		Service string    `json:"serviceName"`
		Tags    []jsonTag `json:"tags"`
	}
)

// toJSON is a trace in the words of that API. Its processes are called p1, p2 and so on, in the order of their services' names.
func toJSON(f found) jsonTrace {
	out := jsonTrace{TraceID: f.id.String(), Spans: make([]jsonSpan, 0, len(f.spans)), Processes: map[string]jsonProcess{}}
	numbers := []int{}
	for n := range f.processes {
		numbers = append(numbers, n)
	}
	slices.SortFunc(numbers, func(a, b int) int {
		return cmp.Or(strings.Compare(f.processes[a].service, f.processes[b].service), a-b)
	})
	names := map[int]string{}
	for i, n := range numbers {
		names[n] = fmt.Sprintf("p%d", i+1)
		out.Processes[names[n]] = jsonProcess{f.processes[n].service, tags(f.processes[n].attrs)}
	}
	for i := range f.spans {
		s := &f.spans[i]
		j := jsonSpan{
			TraceID: out.TraceID, SpanID: s.id.String(), Operation: s.name, References: []jsonReference{},
			StartTime: s.start / 1000, Duration: s.duration() / 1000, Tags: tags(s.attrs, s.derived()...), Logs: []jsonLog{},
			ProcessID: names[s.process],
		}
		if s.parent != (spanID{}) {
			j.References = append(j.References, jsonReference{"CHILD_OF", out.TraceID, s.parent.String()})
		}
		for _, e := range s.events {
			fields := append([]jsonTag{{"event", "string", e.name}}, tags(e.attrs)...)
			j.Logs = append(j.Logs, jsonLog{e.at / 1000, fields})
		}
		out.Spans = append(out.Spans, j)
	}
	return out
}

func tags(attrs []attribute, more ...attribute) []jsonTag {
	out := make([]jsonTag, 0, len(attrs)+len(more))
	for _, a := range slices.Concat(attrs, more) {
		out = append(out, jsonTag{a.key, [...]string{"string", "bool", "int64", "float64"}[a.typ], a.value()})
	}
	return out
}
