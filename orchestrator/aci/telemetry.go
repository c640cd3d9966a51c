package aci

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/orchestrator/aci/proxy"
)

type queryArgs struct {
	Query string `json:"query" jsonschema:"A PromQL expression."`
	Time  string `json:"time,omitempty" jsonschema:"When: RFC 3339, Unix seconds, or how long ago such as 5m; now by default."`
}

type rangeArgs struct {
	Query string `json:"query" jsonschema:"A PromQL expression."`
	Start string `json:"start,omitempty" jsonschema:"RFC 3339, Unix seconds, or how long ago; 10m by default."`
	End   string `json:"end,omitempty" jsonschema:"RFC 3339, Unix seconds, or how long ago; now by default."`
	Step  string `json:"step,omitempty" jsonschema:"The resolution, such as 15s; a 20th of the range by default."`
}

type listArgs struct {
	Match string `json:"match,omitempty" jsonschema:"Only metrics whose name contains this text."`
}

type alertsArgs struct {
	Pending bool `json:"pending,omitempty" jsonschema:"Also alerts that are not firing yet."`
}

func (s *Session) addTelemetryTools(add func(tool, error)) {
	add(define("query_metrics", "Evaluate a PromQL expression at one time. The answer is Prometheus' JSON.", s.queryMetrics))
	add(define("query_metrics_range", "Evaluate a PromQL expression over a range of time. The answer is Prometheus' JSON.", s.queryRange))
	add(define("list_metrics", "List the metrics that exist, with their type and help.", s.listMetrics))
	add(define("get_alerts", "List the firing alerts: name, labels, since when, annotations.", s.getAlerts))
	add(define("search_traces", "Find traces of a service: one line of JSON per trace, the slowest first.", s.searchTraces))
	add(define("get_trace", "Show one trace as a tree of spans with durations, errors and where each ran.", s.getTrace))
	add(define("get_service_graph", "Show which service calls which, as seen in recent traces, with calls, errors and latencies.", s.serviceGraph))
}

// instant reads a time: RFC 3339, Unix seconds, a duration before now, or "now".
func instant(s string, now, otherwise time.Time) (time.Time, error) {
	if s == "" {
		return otherwise, nil
	}
	if s == "now" {
		return now, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	if unix, err := strconv.ParseFloat(s, 64); err == nil {
		return time.UnixMicro(int64(unix * 1e6)), nil
	}
	if d, err := time.ParseDuration(strings.TrimPrefix(strings.TrimPrefix(s, "now"), "-")); err == nil {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is no RFC 3339 time, Unix time or duration such as 5m", s)
}

func unixSeconds(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}

func (s *Session) queryMetrics(ctx context.Context, a queryArgs) output {
	now := s.config.Clock.Now()
	at, err := instant(a.Time, now, now)
	if err != nil {
		return failed("malformed_args: time: %v", err)
	}
	return s.prometheus(ctx, "/api/v1/query", url.Values{"query": {a.Query}, "time": {unixSeconds(at)}})
}

func (s *Session) queryRange(ctx context.Context, a rangeArgs) output {
	now := s.config.Clock.Now()
	start, err := instant(a.Start, now, now.Add(-10*time.Minute))
	if err != nil {
		return failed("malformed_args: start: %v", err)
	}
	end, err := instant(a.End, now, now)
	if err != nil {
		return failed("malformed_args: end: %v", err)
	}
	step := max(end.Sub(start)/20, time.Second).Round(time.Second)
	if a.Step != "" {
		if step, err = time.ParseDuration(a.Step); err != nil || step <= 0 {
			return failed("malformed_args: step: %q is no positive duration such as 15s", a.Step)
		}
	}
	return s.prometheus(ctx, "/api/v1/query_range", url.Values{
		"query": {a.Query}, "start": {unixSeconds(start)}, "end": {unixSeconds(end)},
		"step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	})
}

// prometheus asks for path and gives the data of the answer.
func (s *Session) prometheus(ctx context.Context, path string, query url.Values) output {
	var data json.RawMessage
	if err := s.ask(ctx, s.config.Prometheus, path, query, &data); err != nil {
		return failed("query_failed: %v", err)
	}
	return text(string(data))
}

// ask reads the data of a Prometheus or Jaeger answer, filtered, into data.
func (s *Session) ask(ctx context.Context, endpoint proxy.Endpoint, path string, query url.Values, data any) error {
	path, query, err := s.config.Rules.RestrictTelemetry(path, query)
	if err != nil {
		return err
	}
	code, body, err := endpoint.Get(ctx, path, query)
	if err != nil {
		return err
	}
	var reply struct {
		Data   json.RawMessage `json:"data"`
		Error  string          `json:"error"`
		Errors []struct {
			Msg string `json:"msg"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(s.config.Rules.FilterTelemetry(body), &reply); err != nil {
		return fmt.Errorf("status %d: %.200s", code, body)
	}
	if reply.Error != "" {
		return fmt.Errorf("%s", reply.Error)
	}
	for _, e := range reply.Errors {
		return fmt.Errorf("%s", e.Msg)
	}
	if code != http.StatusOK {
		return fmt.Errorf("status %d: %.200s", code, body)
	}
	if err := json.Unmarshal(reply.Data, data); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

func (s *Session) listMetrics(ctx context.Context, a listArgs) output {
	var names []string
	if err := s.ask(ctx, s.config.Prometheus, "/api/v1/label/__name__/values", nil, &names); err != nil {
		return failed("query_failed: %v", err)
	}
	var help map[string][]struct{ Type, Help string }
	// Help is a courtesy: a Prometheus without metadata still lists its names.
	_ = s.ask(ctx, s.config.Prometheus, "/api/v1/metadata", nil, &help)
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		if !strings.Contains(name, a.Match) {
			continue
		}
		b.WriteString(name)
		base := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if trimmed := strings.TrimSuffix(name, suffix); len(help[name]) == 0 && len(help[trimmed]) > 0 {
				base = trimmed
			}
		}
		if meta := help[base]; len(meta) > 0 {
			fmt.Fprintf(&b, " (%s) %s", meta[0].Type, meta[0].Help)
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return text("(no metrics)\n")
	}
	return text(b.String())
}

// alert is one alert as the tool shows it.
type alert struct {
	Name        string            `json:"name"`
	State       string            `json:"state"`
	Since       time.Time         `json:"since"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Value       string            `json:"value"`
}

func (s *Session) getAlerts(ctx context.Context, a alertsArgs) output {
	var data struct {
		Alerts []struct {
			Labels, Annotations map[string]string
			State, Value        string
			ActiveAt            time.Time
		}
	}
	if err := s.ask(ctx, s.config.Prometheus, "/api/v1/alerts", nil, &data); err != nil {
		return failed("query_failed: %v", err)
	}
	list := []alert{}
	for _, in := range data.Alerts {
		if in.State != "firing" && !a.Pending {
			continue
		}
		one := alert{Name: in.Labels["alertname"], State: in.State, Since: in.ActiveAt, Labels: in.Labels, Annotations: in.Annotations, Value: in.Value}
		delete(one.Labels, "alertname")
		list = append(list, one)
	}
	slices.SortStableFunc(list, func(a, b alert) int {
		return strings.Compare(a.Name+fmt.Sprint(a.Labels), b.Name+fmt.Sprint(b.Labels))
	})
	return jsonText(list)
}

func jsonText(v any) output {
	out, err := json.Marshal(v)
	if err != nil {
		return failed("encode answer: %v", err)
	}
	return text(string(out))
}

func itoa(n int) string { return strconv.Itoa(n) }
