package leak

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Look is one call of a tool.
type Look struct {
	Tool string
	Args map[string]any
}

func (l Look) String() string {
	if command, ok := l.Args["command"].(string); ok {
		return "kubectl " + command
	}
	if len(l.Args) == 0 {
		return l.Tool
	}
	args, err := json.Marshal(l.Args)
	if err != nil {
		return l.Tool
	}
	return fmt.Sprintf("%s %.200s", l.Tool, args)
}

func kubectl(command string) Look { return Look{"kubectl", map[string]any{"command": command}} }

// stage is a look, and what to look at next, which is known from what it shows.
type stage struct {
	look Look
	next func(shown string) []Look
}

const (
	// lookback reaches back to before the cluster was there.
	lookback = 3600
	// tracesEach is how many traces of each service are searched.
	tracesEach = 200
	// metricsEach is how many metrics one query shows: all at once would be many megabytes.
	metricsEach = 50
)

// stages is everything that an agent can look at: each kind of object that it may list, in full and in all namespaces; the
// logs of every pod; every series with its labels; traces of every service.
func stages() []stage {
	traces := func(failed bool) stage {
		return stage{Look{"search_traces", map[string]any{
			"service": "*", "lookback_seconds": lookback, "limit": tracesEach, "errors_only": failed,
		}}, tracesShown}
	}
	return []stage{
		{look: kubectl("api-resources")},
		{kubectl("api-resources --verbs=list -o name"), objectsShown},
		{look: kubectl("describe nodes")},
		{look: kubectl("describe pods -A")},
		{kubectl("get pods -A --no-headers -o custom-columns=" + podColumns), logsShown},
		{look: Look{"get_events", map[string]any{"namespace": "*"}}},
		{look: Look{"get_alerts", map[string]any{"pending": true}}},
		{Look{"list_metrics", map[string]any{}}, seriesShown},
		{look: Look{"get_service_graph", map[string]any{"lookback_seconds": lookback}}},
		traces(false), traces(true),
	}
}

// objectsShown lists every kind of object. Lines of more than a name are complaints about APIs that do not answer.
func objectsShown(resources string) []Look {
	var out []Look
	for line := range strings.Lines(resources) {
		if fields := strings.Fields(line); len(fields) == 1 {
			out = append(out, kubectl("get "+fields[0]+" -A -o yaml --show-managed-fields"))
		}
	}
	return out
}

const podColumns = "NAMESPACE:.metadata.namespace,NAME:.metadata.name,RESTARTS:.status.containerStatuses[*].restartCount"

// logsShown reads the logs of every pod, and of what ran in it before a restart.
func logsShown(pods string) []Look {
	var out []Look
	for line := range strings.Lines(pods) {
		columns := strings.Fields(line)
		if len(columns) < 2 {
			continue
		}
		logs := "logs -n " + columns[0] + " pod/" + columns[1] + " --all-containers --ignore-errors"
		out = append(out, kubectl(logs))
		if len(columns) > 2 && strings.ContainsAny(columns[2], "123456789") {
			out = append(out, kubectl(logs+" --previous"))
		}
	}
	return out
}

// seriesShown asks for every series that there was, for its labels.
func seriesShown(list string) []Look {
	var names []string
	for line := range strings.Lines(list) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); name != "" && !strings.HasPrefix(name, "(") {
			names = append(names, regexp.QuoteMeta(name))
		}
	}
	var out []Look
	for chunk := range slices.Chunk(names, metricsEach) {
		query := fmt.Sprintf("last_over_time({__name__=~%s}[%ds])", strconv.Quote(strings.Join(chunk, "|")), lookback)
		out = append(out, Look{"query_metrics", map[string]any{"query": query}})
	}
	return out
}

// tracesShown shows one trace of each kind: what its root is, where it has been, and what failed.
func tracesShown(found string) []Look {
	var out []Look
	seen := map[string]bool{}
	for line := range strings.Lines(found) {
		var trace struct {
			ID       string   `json:"traceId"`
			Root     string   `json:"root"`
			Services []string `json:"services"`
			Errors   []string `json:"errors"`
		}
		if json.Unmarshal([]byte(line), &trace) != nil || trace.ID == "" {
			continue
		}
		if kind := fmt.Sprint(trace.Root, trace.Services, len(trace.Errors)); !seen[kind] {
			seen[kind] = true
			out = append(out, Look{"get_trace", map[string]any{"trace_id": trace.ID}})
		}
	}
	return out
}
