package tracestore

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/utils/clock"
)

// The JSON of Jaeger's query API.
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

// Bounds of a search.
const (
	defaultLimit    = 20
	maxLimit        = 1500
	defaultLookback = time.Hour
)

// api answers Jaeger's query API.
type api struct {
	store *Store
	clock clock.PassiveClock
}

// Handler serves Jaeger's query API over store.
func Handler(store *Store, c clock.PassiveClock) http.Handler {
	a := &api{store, c}
	mux := http.NewServeMux()
	route := func(pattern string, f func(*http.Request) (any, int, error)) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) {
			data, total, err := f(r)
			reply(w, data, total, err)
		})
	}
	route("/api/services", func(*http.Request) (any, int, error) {
		names := store.Services()
		return names, len(names), nil
	})
	route("/api/services/{service}/operations", func(r *http.Request) (any, int, error) {
		names := []string{}
		for _, o := range store.Operations(r.PathValue("service"), "") {
			if !slices.Contains(names, o.Name) {
				names = append(names, o.Name)
			}
		}
		return names, len(names), nil
	})
	route("/api/operations", a.operations)
	route("/api/traces", a.search)
	route("/api/traces/{id}", a.trace)
	route("/api/dependencies", a.dependencies)
	mux.HandleFunc("GET /metrics", a.metrics)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return mux
}

// httpError is an error with its status.
type httpError struct {
	status int
	error
}

func badRequest(format string, args ...any) error {
	return &httpError{http.StatusBadRequest, fmt.Errorf(format, args...)}
}

func reply(w http.ResponseWriter, data any, total int, err error) {
	out, status := answer{Data: data, Total: total}, http.StatusOK
	if err != nil {
		status = http.StatusInternalServerError
		if h, ok := err.(*httpError); ok { //nolint:errorlint // made here, never wrapped.
			status = h.status
		}
		out = answer{Errors: []answerError{{Code: status, Message: err.Error()}}}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}

func (a *api) operations(r *http.Request) (any, int, error) {
	service := r.FormValue("service")
	if service == "" {
		return nil, 0, badRequest("parameter 'service' is required")
	}
	out := a.store.Operations(service, r.FormValue("spanKind"))
	return out, len(out), nil
}

func (a *api) search(r *http.Request) (any, int, error) {
	if ids := r.URL.Query()["traceID"]; len(ids) > 0 {
		return a.byID(ids)
	}
	q, err := parseQuery(r.URL.Query(), a.clock.Now())
	if err != nil {
		return nil, 0, err
	}
	out := []jsonTrace{}
	for _, f := range a.store.find(q) {
		out = append(out, toJSON(f))
	}
	return out, len(out), nil
}

func (a *api) byID(ids []string) (any, int, error) {
	out := []jsonTrace{}
	for _, text := range ids {
		id, err := parseTraceID(text)
		if err != nil {
			return nil, 0, err
		}
		if f, ok := a.store.get(id); ok {
			out = append(out, toJSON(f))
		}
	}
	return out, len(out), nil
}

func (a *api) trace(r *http.Request) (any, int, error) {
	id, err := parseTraceID(r.PathValue("id"))
	if err != nil {
		return nil, 0, err
	}
	f, ok := a.store.get(id)
	if !ok {
		return nil, 0, &httpError{http.StatusNotFound, fmt.Errorf("trace not found")}
	}
	return []jsonTrace{toJSON(f)}, 1, nil
}

func (a *api) dependencies(r *http.Request) (any, int, error) {
	to, lookback := a.clock.Now(), 24*time.Hour
	if v := r.FormValue("endTs"); v != "" {
		ms, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return nil, 0, badRequest("unable to parse param 'endTs': %q is not a number of milliseconds", v)
		}
		to = time.UnixMilli(ms)
	}
	if v := r.FormValue("lookback"); v != "" {
		ms, err := strconv.ParseInt(v, 10, 64)
		if err != nil || ms < 0 {
			return nil, 0, badRequest("unable to parse param 'lookback': %q is not a number of milliseconds", v)
		}
		lookback = time.Duration(ms) * time.Millisecond
	}
	out := a.store.Dependencies(to.Add(-lookback), to)
	return out, len(out), nil
}

// metrics serves the store's own figures.
func (a *api) metrics(w http.ResponseWriter, _ *http.Request) {
	s := a.store.Stats()
	for _, m := range []struct {
		name, kind string
		value      uint64
	}{
		{"jaeger_receiver_accepted_spans_total", "counter", s.Received},
		{"jaeger_storage_evicted_spans_total", "counter", s.Evicted},
		{"jaeger_storage_traces", "gauge", uint64(s.Traces)}, //nolint:gosec // not negative.
		{"jaeger_storage_bytes", "gauge", uint64(s.Bytes)},   //nolint:gosec // not negative.
	} {
		fmt.Fprintf(w, "# TYPE %s %s\n%s %d\n", m.name, m.kind, m.name, m.value)
	}
}

func parseTraceID(text string) (traceID, error) {
	var id traceID
	if len(text) == 0 || len(text) > 32 {
		return id, badRequest("trace ID %q: want up to 32 hexadecimal digits", text)
	}
	b, err := hex.DecodeString(strings.Repeat("0", 32-len(text)) + text)
	if err != nil {
		return id, badRequest("trace ID %q: want up to 32 hexadecimal digits", text)
	}
	return traceID(b), nil
}

// parseQuery reads the parameters of a search: service, operation, tag, tags, minDuration, maxDuration, start and end (in
// microseconds) or lookback, and limit.
func parseQuery(v url.Values, now time.Time) (Query, error) {
	q := Query{Service: v.Get("service"), Operation: v.Get("operation"), Tags: map[string]string{}, Limit: defaultLimit, To: now}
	if q.Service == "" {
		return q, badRequest("parameter 'service' is required")
	}
	for _, t := range v["tag"] {
		key, value, ok := strings.Cut(t, ":")
		if !ok {
			return q, badRequest("malformed 'tag' parameter, expecting key:value, received: %s", t)
		}
		q.Tags[key] = value
	}
	for _, t := range v["tags"] {
		if err := json.Unmarshal([]byte(t), &q.Tags); err != nil {
			return q, badRequest("malformed 'tags' parameter, cannot unmarshal JSON: %s", err)
		}
	}
	var err error
	for name, to := range map[string]*time.Duration{"minDuration": &q.MinDuration, "maxDuration": &q.MaxDuration} {
		if text := v.Get(name); text != "" {
			if *to, err = time.ParseDuration(text); err != nil {
				return q, badRequest("unable to parse param '%s': %s", name, err)
			}
		}
	}
	if text := v.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 0 {
			return q, badRequest("unable to parse param 'limit': %q is not a number", text)
		}
		q.Limit = min(q.Limit, maxLimit)
	}
	return q, q.parseTimes(v)
}

func (q *Query) parseTimes(v url.Values) error {
	for name, to := range map[string]*time.Time{"start": &q.From, "end": &q.To} {
		if text := v.Get(name); text != "" {
			us, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return badRequest("unable to parse param '%s': %q is not a number of microseconds", name, text)
			}
			*to = time.UnixMicro(us)
		}
	}
	if q.From.IsZero() {
		lookback := defaultLookback
		if text := v.Get("lookback"); text != "" && text != "custom" {
			d, err := parseLookback(text)
			if err != nil {
				return badRequest("unable to parse param 'lookback': %s", err)
			}
			lookback = d
		}
		q.From = q.To.Add(-lookback)
	}
	return nil
}

// parseLookback reads a duration, with days as Jaeger's UI sends them.
func parseLookback(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

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
