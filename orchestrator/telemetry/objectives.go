package telemetry

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/evaluator"
	"github.com/gameday-bench/gameday/workloads"
)

// good is the outcome of a good request in the load generator's series.
const good = "ok"

// Objective measures one objective at the load generator, over the window that ends now. Without a request in the window
// it is not met.
func (c *Client) Objective(ctx context.Context, slo workloads.SLO, window time.Duration) (evaluator.SLOEvidence, error) {
	e := evaluator.SLOEvidence{Name: slo.Name, Window: window.Seconds()}
	var err error
	if slo.Type == workloads.Latency {
		err = c.latency(ctx, slo, &e)
	} else {
		err = c.availability(ctx, slo, &e)
	}
	if err != nil {
		return e, fmt.Errorf("measure objective %s: %w", slo.Name, err)
	}
	return e, nil
}

func (c *Client) availability(ctx context.Context, slo workloads.SLO, e *evaluator.SLOEvidence) error {
	series, err := c.Query(ctx, fmt.Sprintf("sum by (outcome) (increase(loadgen_requests_total%s[%s]))", selector(slo.Routes), span(e.Window)))
	if err != nil {
		return err
	}
	var ok float64
	for _, s := range series {
		if s.Labels["outcome"] == good {
			ok += s.Value()
		}
		e.Samples += s.Value()
	}
	e.Unit, e.Target = "ratio", slo.Target
	if e.Samples > 0 {
		e.Value = ok / e.Samples
		// Rates are extrapolated: what is one failure less than the target allows must not hang on the last digit.
		e.Met = e.Value >= slo.Target-1e-9
	}
	return nil
}

func (c *Client) latency(ctx context.Context, slo workloads.SLO, e *evaluator.SLOEvidence) error {
	routes, window := selector(slo.Routes), span(e.Window)
	quantile := fmt.Sprintf("histogram_quantile(%s, sum by (le) (rate(loadgen_request_duration_seconds_bucket%s[%s])))",
		strconv.FormatFloat(slo.Quantile, 'g', -1, 64), routes, window)
	count := fmt.Sprintf("sum(increase(loadgen_request_duration_seconds_count%s[%s]))", routes, window)
	// One query, so that both are of the same moment.
	series, err := c.Query(ctx, fmt.Sprintf(`label_replace(%s, "what", "quantile", "", "") or label_replace(%s, "what", "count", "", "")`, quantile, count))
	if err != nil {
		return err
	}
	value := math.NaN()
	for _, s := range series {
		if s.Labels["what"] == "quantile" {
			value = s.Value()
		} else {
			e.Samples = s.Value()
		}
	}
	e.Unit, e.Target = "seconds", slo.Threshold.Seconds()
	if e.Samples > 0 && !math.IsNaN(value) && !math.IsInf(value, 0) {
		e.Value = value
		e.Met = value <= e.Target
	}
	return nil
}

// selector chooses the series of routes; none means all.
func selector(routes []string) string {
	if len(routes) == 0 {
		return ""
	}
	quoted := make([]string, len(routes))
	for i, r := range routes {
		quoted[i] = regexp.QuoteMeta(r)
	}
	return "{route=~" + strconv.Quote(strings.Join(quoted, "|")) + "}"
}

// span writes seconds as a PromQL duration.
func span(seconds float64) string {
	return strconv.FormatInt(int64(seconds*1000), 10) + "ms"
}

// Healthy says what keeps the system from being healthy: a firing alert, an objective that is not met over the window, or
// one with fewer than samples requests. Empty means healthy.
func (c *Client) Healthy(ctx context.Context, slos []workloads.SLO, window time.Duration, samples float64) (string, error) {
	if reason, err := c.Firing(ctx); reason != "" || err != nil {
		return reason, err
	}
	for _, slo := range slos {
		e, err := c.Objective(ctx, slo, window)
		switch {
		case err != nil:
			return "", err
		case e.Samples < samples:
			return fmt.Sprintf("objective %s: %.0f requests in %s, want %.0f", slo.Name, e.Samples, window, samples), nil
		case !e.Met:
			return fmt.Sprintf("objective %s is not met: %.4g %s, want %.4g", slo.Name, e.Value, e.Unit, e.Target), nil
		}
	}
	return "", nil
}
