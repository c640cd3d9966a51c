package tracestore

import (
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"
)

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
	err = q.parseTimes(v)
	return q, err
}

// parseTimes reads start and end, or counts a lookback from the end.
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

// parseTraceID reads an identifier, whose leading zeros may be missing.
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

// Bounds of a search.
const (
	defaultLimit    = 20
	maxLimit        = 1500
	defaultLookback = time.Hour
)
