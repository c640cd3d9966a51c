package orchestrator

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/orchestrator/aci"
	"github.com/gameday-bench/gameday/orchestrator/aci/proxy"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/stack"
	"github.com/gameday-bench/gameday/orchestrator/telemetry"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
	"github.com/gameday-bench/gameday/workloads"
)

// lab is what an environment is made with: where it runs and what it measures with.
type lab struct {
	provider cluster.Provider
	spec     cluster.Spec
	faults   *faults.Catalog
	// patience multiplies how long a symptom may take.
	patience float64
	// seed joins the load profile's.
	seed int64
}

// measurer returns the telemetry of the cluster behind config.
func (*lab) measurer(config *rest.Config) measurer { return telemetry.New(config) }

// stack puts the application under load on the environment's cluster.
func (l *lab) stack(e *environment) (*stack.Stack, error) {
	return stack.New(stack.Params{
		App: e.app, Namespace: e.draw["namespace"], Profile: e.problem.Load.Profile, Rate: e.problem.Load.Rate, Seed: l.seed,
		REST: e.cluster.RESTConfig(), Log: e.log,
	})
}

// newEnvironment makes the environment of one trial.
func (r *Runner) newEnvironment(config RunConfig, p *resolved, seed int64) *environment {
	return &environment{
		problem: p.entry.Problem, draw: p.draw, truth: p.truth, app: p.app, clock: r.Clock, log: r.Log,
		machine: newMachine(r.Clock),
		lab: &lab{
			provider: r.Providers[config.Cluster], spec: cluster.Spec{Nodes: config.Nodes, NodeGroups: config.NodeGroups, Fidelity: config.Fidelity},
			faults: r.Faults, patience: config.TimeoutMultiplier, seed: seed,
		},
	}
}

// newTrial makes a trial that records into dir.
func (r *Runner) newTrial(config RunConfig, p *resolved, a scenarios.Trial, dir *results.Trial, rec *recorder) *trial {
	env := r.newEnvironment(config, p, a.Seed)
	t := &trial{
		env: env, twin: a.Twin,
		phases: &phases{trial: a.Key.String(), observer: rec, factor: config.TimeoutMultiplier, now: r.now, took: map[Phase]float64{}},
	}
	t.collect = func(ctx context.Context) error { return collectLogs(ctx, env.cluster, dir.LogDir()) }
	t.brief = func() (agents.Brief, error) { return brief(p.entry.Problem, p.app, env.draw, a) }
	t.open = func(ctx context.Context, b agents.Brief) (session, error) {
		return openSession(ctx, env, b, func(entry aci.Entry) error { return dir.AppendTranscript(entry) })
	}
	t.agent = func() (agents.Agent, error) {
		output, err := dir.Log("agent.log")
		if err != nil {
			return nil, err
		}
		params := agents.Params{Seed: a.Seed + int64(a.Attempt), Output: output, Log: r.Log}
		info, err := agents.Lookup(a.Agent)
		if err != nil {
			return nil, err
		}
		if info.NeedsScript {
			params.Script = script(env.truth, a.Twin)
		}
		return agents.New(a.Agent, params)
	}
	return t
}

// brief is what the agent is told.
func brief(p problems.Problem, app *workloads.Definition, draw problems.Draw, a scenarios.Trial) (agents.Brief, error) {
	prompt, err := draw.Fill(p.Prompt)
	if err != nil {
		return agents.Brief{}, fmt.Errorf("fill in the prompt: %w", err)
	}
	taxonomy, err := problems.LoadTaxonomy()
	if err != nil {
		return agents.Brief{}, err
	}
	return agents.Brief{
		// The trial's own name would tell twins and problems apart.
		TrialID: fmt.Sprintf("%s-%d", app.ID, a.Attempt), Prompt: prompt, App: app.ID, Namespace: draw["namespace"], Tasks: p.Tasks,
		Budget:         agents.Budget{Steps: p.Budget.Steps, Time: p.Budget.Time, Tokens: p.Budget.Tokens, Cost: p.Budget.CostUSD},
		Mechanisms:     taxonomy.MechanismIDs(),
		ComponentKinds: taxonomy.Kinds(),
	}, nil
}

// openSession opens the agent-cloud interface on the environment's cluster.
func openSession(ctx context.Context, e *environment, b agents.Brief, transcript func(aci.Entry) error) (session, error) {
	prometheus, jaeger, err := e.telemetry()
	if err != nil {
		return nil, err
	}
	return aci.Open(ctx, aci.Config{
		Brief: b, Admin: e.cluster.RESTConfig(), Rules: hidden(), Transcript: transcript, Log: e.log, Prometheus: prometheus, Jaeger: jaeger,
	})
}

// hidden says what agents do not see.
func hidden() proxy.Rules { return proxy.DefaultRules() }

// telemetry is where the cluster's Prometheus and Jaeger are.
func (e *environment) telemetry() (prometheus, jaeger proxy.Endpoint, err error) {
	p, j, err := telemetry.Endpoints(e.cluster.RESTConfig())
	if err != nil {
		return prometheus, jaeger, err
	}
	return proxy.Endpoint{BaseURL: p.URL, Transport: p.Transport}, proxy.Endpoint{BaseURL: j.URL, Transport: j.Transport}, nil
}

// script is what the scripted agent plays: the truth, in the words of an agent.
func script(t truth.Truth, twin bool) *agents.Script {
	if twin {
		return &agents.Script{Submission: agents.Submission{Detection: &agents.Detection{}}}
	}
	s := &agents.Script{Submission: agents.Submission{
		Detection:    &agents.Detection{Anomaly: true},
		Localization: &agents.Localization{},
		Diagnosis: &agents.Diagnosis{
			Component: t.RootCause.Component, Mechanism: t.RootCause.Mechanism, Field: t.RootCause.Field,
		},
		Mitigation: &agents.Mitigation{Summary: "reference repair"},
	}}
	for _, c := range t.Components {
		s.Submission.Localization.Components = append(s.Submission.Localization.Components, c.Component)
	}
	s.Repair = steps(t.Repair)
	return s
}

func steps(in []truth.Step) []agents.ScriptStep {
	var out []agents.ScriptStep
	for _, s := range in {
		out = append(out, agents.ScriptStep{Kubectl: s.Kubectl, Stdin: s.Stdin, Wait: s.Wait})
	}
	return out
}

// collectLogs keeps the logs of the cluster's own parts, where it can give them.
func collectLogs(ctx context.Context, c cluster.Cluster, dir string) error {
	collector, ok := c.(cluster.LogCollector)
	if !ok {
		return nil
	}
	dir = filepath.Join(dir, "cluster")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make log directory: %w", err)
	}
	return collector.CollectLogs(ctx, dir)
}
