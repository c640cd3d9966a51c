// Package random is the agent that guesses: valid answers, drawn from what it sees. It is the chance level of every suite.
package random

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/agents"
)

// maxGuesses is how many components it names.
const maxGuesses = 3

// Agent guesses. It changes nothing in the cluster.
type Agent struct {
	rand *rand.Rand
}

var _ agents.Agent = (*Agent)(nil)

// New returns an Agent whose guesses depend on seed and on what the cluster lists.
func New(seed int64) *Agent {
	return &Agent{rand: rand.New(rand.NewPCG(uint64(seed), 0x67616d65646179))}
}

// kinds maps what kubectl calls a resource to the kind that an answer names.
var kinds = map[string]string{"deployment.apps": "Deployment", "statefulset.apps": "StatefulSet", "service": "Service", "node": "Node", "configmap": "ConfigMap"}

// Solve answers every task that is asked.
func (a *Agent) Solve(ctx context.Context, brief agents.Brief, cloud agents.Cloud) error {
	candidates, err := a.candidates(ctx, brief, cloud)
	if err != nil {
		return err
	}
	a.rand.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
	for _, task := range brief.Tasks {
		tool, args := a.answer(task, brief, candidates)
		if tool == "" {
			continue
		}
		if err := agents.Submit(ctx, cloud, tool, args); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) answer(task string, brief agents.Brief, candidates []agents.Component) (string, map[string]any) {
	switch task {
	case "detection":
		return "submit_detection", map[string]any{"anomaly": a.rand.IntN(2) == 1}
	case "localization":
		if len(candidates) > 0 {
			return "submit_localization", map[string]any{"components": candidates[:min(len(candidates), maxGuesses)]}
		}
	case "diagnosis":
		if len(candidates) > 0 && len(brief.Mechanisms) > 0 {
			mechanism := brief.Mechanisms[a.rand.IntN(len(brief.Mechanisms))]
			return "submit_diagnosis", map[string]any{"component": candidates[0], "mechanism": mechanism}
		}
	case "mitigation":
		return "submit_mitigation", map[string]any{"summary": "nothing was done"}
	}
	return "", nil
}

// candidates are the components that the cluster lists, in a fixed order.
func (a *Agent) candidates(ctx context.Context, brief agents.Brief, cloud agents.Cloud) ([]agents.Component, error) {
	var out []agents.Component
	for _, command := range []string{"get deployments,statefulsets,services,configmaps -o name", "get nodes -o name"} {
		result, err := agents.Do(ctx, cloud, "kubectl", map[string]any{"command": command})
		if err != nil {
			return nil, err
		}
		if result.IsError {
			continue
		}
		for _, line := range strings.Fields(result.Output) {
			resource, name, ok := strings.Cut(line, "/")
			kind := kinds[resource]
			if !ok || kind == "" || !slices.Contains(brief.ComponentKinds, kind) {
				continue
			}
			c := agents.Component{Kind: kind, Name: name, Namespace: brief.Namespace}
			if kind == "Node" {
				c.Namespace = ""
			}
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b agents.Component) int {
		return strings.Compare(a.Kind+"/"+a.Name, b.Kind+"/"+b.Name)
	})
	return out, nil
}
