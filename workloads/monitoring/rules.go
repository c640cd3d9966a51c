package monitoring

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/gameday-bench/gameday/workloads"
)

// ruleFile is a Prometheus rule file.
type ruleFile struct {
	Groups []ruleGroup `yaml:"groups"`
}

type ruleGroup struct {
	Name  string `yaml:"name"`
	Rules []rule `yaml:"rules"`
}

type rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

func (f ruleFile) text() (string, error) {
	out, err := yaml.Marshal(f)
	if err != nil {
		return "", fmt.Errorf("write rules: %w", err)
	}
	return string(out), nil
}

// expectations records what each service is expected to do, for the alerts on golden signals to compare with.
func expectations(services []workloads.Expectation, namespace string) ruleFile {
	g := ruleGroup{Name: "service-expectations", Rules: []rule{}}
	for _, s := range services {
		labels := map[string]string{"namespace": namespace, "service": s.Service}
		g.Rules = append(g.Rules,
			rule{Record: "service:errors:expected", Expr: vector(s.Errors), Labels: labels},
			rule{Record: "service:latency_seconds:expected", Expr: vector(s.Latency.Seconds()), Labels: labels},
		)
	}
	return ruleFile{[]ruleGroup{g}}
}

func vector(v float64) string { return "vector(" + number(v) + ")" }

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// How the alerts on objectives look. The window is short because trials are. An error budget burns when errors come at
// burnFactor times the rate that the objective allows; minBad bad requests in the window keep one bad request on a quiet
// route from being an alert.
const (
	alertWindow = "10s"
	alertFor    = "4s"
	burnFactor  = 5
	minBad      = 3
)

// objectives makes one alert per objective: ErrorBudgetBurn for availability, LatencySLOViolation for latency.
func objectives(slos []workloads.SLO) ruleFile {
	g := ruleGroup{Name: "objectives", Rules: []rule{}}
	for _, o := range slos {
		labels := map[string]string{"severity": "critical", "slo": o.Name}
		if o.Type == workloads.Latency {
			g.Rules = append(g.Rules, latencyRule(o, labels))
		} else {
			g.Rules = append(g.Rules, burnRule(o, labels))
		}
	}
	return ruleFile{[]ruleGroup{g}}
}

// all chooses an objective's series.
func all(o workloads.SLO, more ...string) string {
	matchers := more
	if len(o.Routes) > 0 {
		quoted := make([]string, len(o.Routes))
		for i, r := range o.Routes {
			quoted[i] = regexp.QuoteMeta(r)
		}
		matchers = append([]string{`route=~` + strconv.Quote(strings.Join(quoted, "|"))}, more...)
	}
	if len(matchers) == 0 {
		return ""
	}
	return "{" + strings.Join(matchers, ",") + "}"
}

func burnRule(o workloads.SLO, labels map[string]string) rule {
	bad := fmt.Sprintf("sum(increase(loadgen_requests_total%s[%s]))", all(o, `outcome!="ok"`), alertWindow)
	total := fmt.Sprintf("sum(increase(loadgen_requests_total%s[%s]))", all(o), alertWindow)
	budget := max(1-o.Target, 0.001)
	return rule{
		Alert: "ErrorBudgetBurn", For: alertFor, Labels: labels,
		Expr: fmt.Sprintf("%s / %s > %s and %s > %d", bad, total, number(min(burnFactor*budget, 0.9)), bad, minBad),
		Annotations: map[string]string{"summary": fmt.Sprintf(
			"Users see {{ $value | humanizePercentage }} failed requests; objective %s allows %s%%.", o.Name, number(round(100*budget)))},
	}
}

func round(v float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', 6, 64), 64)
	if err != nil {
		return v
	}
	return r
}

func latencyRule(o workloads.SLO, labels map[string]string) rule {
	count := fmt.Sprintf("sum(increase(loadgen_request_duration_seconds_count%s[%s]))", all(o), alertWindow)
	return rule{
		Alert: "LatencySLOViolation", For: alertFor, Labels: labels,
		Expr: fmt.Sprintf("histogram_quantile(%s, sum by (le) (rate(loadgen_request_duration_seconds_bucket%s[%s]))) > %s and %s > %s",
			number(o.Quantile), all(o), alertWindow, number(o.Threshold.Seconds()), count, number(round(minBad/(1-o.Quantile)))),
		Annotations: map[string]string{"summary": fmt.Sprintf(
			"Users wait {{ $value | humanizeDuration }} (quantile %s); objective %s allows %s.", number(o.Quantile), o.Name, o.Threshold)},
	}
}
