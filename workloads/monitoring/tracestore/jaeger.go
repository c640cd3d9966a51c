package tracestore

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"k8s.io/utils/clock"
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
