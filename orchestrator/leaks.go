package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/orchestrator/aci"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

// vocabulary are the words of injection, none of which an agent may see. "fault" alone is not among them: "default" and
// "page faults" are everywhere.
const vocabulary = `chaos|gameday|sabotage|injected|injection|injector|faultinject\w*|fault[- _]inject\w*|inject[- _]fault\w*|benchmark|twin`

// leaks looks at everything that an agent can reach through its own interface, and returns what gives the fault away.
func (c *checker) leaks(ctx context.Context, env *environment) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, leakLimit)
	defer cancel()
	b, err := brief(env.problem, env.app, env.draw, scenarios.Trial{Key: results.Key{Problem: c.id, Agent: "nop", Attempt: 1}})
	if err != nil {
		return "", err
	}
	b.Budget = agents.Budget{}
	session, err := openSession(ctx, env, b, func(aci.Entry) error { return nil })
	if err != nil {
		return "", err
	}
	defer session.Close()
	words := vocabulary + "|" + regexp.QuoteMeta(c.id)
	for _, ref := range env.truth.Faults {
		words += "|" + regexp.QuoteMeta(ref.ID)
	}
	forbidden, err := regexp.Compile(`(?i)\b(` + words + `)\b`)
	if err != nil {
		return "", fmt.Errorf("compile vocabulary: %w", err)
	}
	var found []string
	for _, look := range looks(ctx, session, b.Namespace) {
		text, err := everything(ctx, session, look)
		if err != nil {
			return "", fmt.Errorf("look at %s: %w", look, err)
		}
		for _, at := range forbidden.FindAllStringIndex(text, 3) {
			found = append(found, fmt.Sprintf("%s shows %q", look, strings.TrimSpace(text[max(0, at[0]-40):min(len(text), at[1]+40)])))
		}
	}
	return strings.Join(found, "; "), nil
}

// look is one call of a tool.
type look struct {
	tool string
	args map[string]any
}

func (l look) String() string {
	if command, ok := l.args["command"].(string); ok {
		return "kubectl " + command
	}
	return l.tool
}

// looks lists what an agent would look at: every kind of object in full, events, logs of every pod, metric names, targets.
func looks(ctx context.Context, cloud agents.Cloud, namespace string) []look {
	kubectl := func(command string) look { return look{"kubectl", map[string]any{"command": command}} }
	out := []look{
		kubectl("get nodes,namespaces,persistentvolumes,storageclasses,priorityclasses -o yaml --show-managed-fields"),
		kubectl("get all,configmaps,secrets,serviceaccounts,endpoints,endpointslices,poddisruptionbudgets,networkpolicies,ingresses,roles,rolebindings -A -o yaml --show-managed-fields"),
		kubectl("get clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations,customresourcedefinitions,apiservices -o yaml --show-managed-fields"),
		kubectl("get events -A -o yaml"),
		kubectl("describe nodes"),
		kubectl("describe pods -n " + namespace),
		kubectl("api-resources"),
		{"list_metrics", map[string]any{}},
		{"get_alerts", map[string]any{}},
		{"get_events", map[string]any{}},
	}
	raw, err := call(ctx, cloud, kubectl("get pods -n "+namespace+" -o name"))
	if err == nil {
		for _, pod := range strings.Fields(raw.Output) {
			out = append(out, kubectl("logs -n "+namespace+" --all-containers --tail=2000 "+pod))
		}
	}
	return out
}

// readOn finds the call that continues a truncated output.
var readOn = regexp.MustCompile(`read on with (\S+) (\{[^{}]*\})\]\s*$`)

// everything pages through the whole output of one call.
func everything(ctx context.Context, cloud agents.Cloud, l look) (string, error) {
	result, err := call(ctx, cloud, l)
	if err != nil {
		return "", err
	}
	if result.IsError && !strings.Contains(result.Output, "No resources found") {
		return "", fmt.Errorf("%s", firstLine(result.Output))
	}
	text := result.Output
	for result.Truncated {
		next := readOn.FindStringSubmatch(result.Output)
		if next == nil {
			return "", fmt.Errorf("the output is truncated and does not say how to read on")
		}
		if result, err = cloud.Call(ctx, next[1], json.RawMessage(next[2])); err != nil {
			return "", err
		}
		text = strings.TrimSuffix(text, next[0]) + result.Output
	}
	return text, nil
}

func call(ctx context.Context, cloud agents.Cloud, l look) (agents.Result, error) {
	args, err := json.Marshal(l.args)
	if err != nil {
		return agents.Result{}, fmt.Errorf("encode arguments: %w", err)
	}
	return cloud.Call(ctx, l.tool, args)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
