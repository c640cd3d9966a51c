package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/evaluator"
)

// Point is a value at a time.
type Point struct {
	Time  time.Time
	Value float64
}

// UnmarshalJSON reads Prometheus's [seconds, "value"].
func (p *Point) UnmarshalJSON(data []byte) error {
	var pair [2]any
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	seconds, ok := pair[0].(float64)
	text, isText := pair[1].(string)
	if !ok || !isText {
		return fmt.Errorf("want [seconds, \"value\"], got %s", data)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("read value: %w", err)
	}
	*p = Point{time.UnixMilli(int64(seconds * 1000)).UTC(), v}
	return nil
}

// Series is one time series. An instant query gives it a single point.
type Series struct {
	Labels map[string]string
	Points []Point
}

// Value is the last point's value, or 0.
func (s Series) Value() float64 {
	if len(s.Points) == 0 {
		return 0
	}
	return s.Points[len(s.Points)-1].Value
}

// Query evaluates a PromQL expression now. The series come as Prometheus gives them; a scalar is one without labels.
func (c *Client) Query(ctx context.Context, query string) ([]Series, error) {
	return c.query(ctx, "/api/v1/query", url.Values{"query": {query}})
}

// QueryRange evaluates a PromQL expression from start to end, every step.
func (c *Client) QueryRange(ctx context.Context, query string, start, end time.Time, step time.Duration) ([]Series, error) {
	return c.query(ctx, "/api/v1/query_range", url.Values{
		"query": {query}, "start": {seconds(start)}, "end": {seconds(end)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	})
}

func seconds(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}

func (c *Client) query(ctx context.Context, path string, v url.Values) ([]Series, error) {
	var data struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	}
	if err := c.get(ctx, c.prometheus, path, v, &data); err != nil {
		return nil, fmt.Errorf("query metrics: %w", err)
	}
	out, err := decodeResult(data.ResultType, data.Result)
	if err != nil {
		return nil, fmt.Errorf("query metrics: decode %s: %w", data.ResultType, err)
	}
	return out, nil
}

func decodeResult(kind string, data json.RawMessage) ([]Series, error) {
	if kind == "scalar" {
		var p Point
		err := json.Unmarshal(data, &p)
		return []Series{{map[string]string{}, []Point{p}}}, err
	}
	var list []struct {
		Metric map[string]string `json:"metric"`
		Value  *Point            `json:"value"`
		Values []Point           `json:"values"`
	}
	if kind != "vector" && kind != "matrix" {
		return nil, fmt.Errorf("unexpected type of result")
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, err
	}
	out := make([]Series, 0, len(list))
	for _, in := range list {
		s := Series{in.Metric, in.Values}
		if in.Value != nil {
			s.Points = []Point{*in.Value}
		}
		out = append(out, s)
	}
	return out, nil
}

// Holds reports whether a PromQL expression returns at least one sample now.
func (c *Client) Holds(ctx context.Context, query string) (bool, error) {
	series, err := c.Query(ctx, query)
	return len(series) > 0, err
}

// ListMetrics returns the names of the metrics that match pattern (a regular expression; empty matches all), sorted.
func (c *Client) ListMetrics(ctx context.Context, pattern string) ([]string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("list metrics: %w", err)
	}
	var names []string
	if err := c.get(ctx, c.prometheus, "/api/v1/label/__name__/values", nil, &names); err != nil {
		return nil, fmt.Errorf("list metrics: %w", err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !re.MatchString(n) })
	slices.Sort(names)
	return names, nil
}

// Alerts returns the firing alerts, sorted by name and labels.
func (c *Client) Alerts(ctx context.Context) ([]evaluator.AlertEvidence, error) {
	var data struct {
		Alerts []struct {
			Labels   map[string]string `json:"labels"`
			State    string            `json:"state"`
			ActiveAt time.Time         `json:"activeAt"`
		} `json:"alerts"`
	}
	if err := c.get(ctx, c.prometheus, "/api/v1/alerts", nil, &data); err != nil {
		return nil, fmt.Errorf("read alerts: %w", err)
	}
	out := []evaluator.AlertEvidence{}
	for _, a := range data.Alerts {
		if a.State != "firing" {
			continue
		}
		name := a.Labels["alertname"]
		delete(a.Labels, "alertname")
		out = append(out, evaluator.AlertEvidence{Name: name, Labels: a.Labels, Since: a.ActiveAt.UTC()})
	}
	slices.SortFunc(out, func(a, b evaluator.AlertEvidence) int {
		return strings.Compare(fmt.Sprint(a.Name, a.Labels), fmt.Sprint(b.Name, b.Labels))
	})
	return out, nil
}

// Firing says which alert is firing, the first by name, and of targets that are down why the last scrape failed. Empty means none.
func (c *Client) Firing(ctx context.Context) (string, error) {
	alerts, err := c.Alerts(ctx)
	if err != nil || len(alerts) == 0 {
		return "", err
	}
	return fmt.Sprintf("alert %s is firing %v%s", alerts[0].Name, alerts[0].Labels, c.whyDown(ctx, alerts[0])), nil
}

// targetDown is the alert on targets that cannot be scraped. It says how many, and not why.
const targetDown = "TargetDown"

// whyDown says what the last scrape of a target failed with that an alert is about: empty where it is another alert, or nobody can tell.
func (c *Client) whyDown(ctx context.Context, alert evaluator.AlertEvidence) string {
	if alert.Name != targetDown {
		return ""
	}
	var data struct {
		Targets []struct {
			Labels    map[string]string `json:"labels"`
			LastError string            `json:"lastError"`
		} `json:"activeTargets"`
	}
	if err := c.get(ctx, c.prometheus, "/api/v1/targets", url.Values{"state": {"active"}}, &data); err != nil {
		return "" // It only explains an alert, which is the finding.
	}
	for _, t := range data.Targets {
		of := func(label string) bool { return t.Labels[label] == alert.Labels[label] }
		if t.LastError != "" && of("job") && of("namespace") && of("service") {
			return ": " + t.LastError
		}
	}
	return ""
}
