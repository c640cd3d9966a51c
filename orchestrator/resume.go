package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/evaluator/graders"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

// ResumeConfig is what a run that is continued may do otherwise than it began. All else is as in its run.json.
type ResumeConfig struct {
	// Dir is the run directory.
	Dir string
	// Concurrency is the number of trials at a time; 0 means as before.
	Concurrency int
	// Again are statuses: trials whose last try has one of them are played again, too.
	Again []results.Status
}

// Resume plays the trials of a run that have no final record, and returns the summary as Run does. What CanResume refuses is
// refused. A finished run with nothing left to do is returned as it is.
func (r *Runner) Resume(ctx context.Context, c ResumeConfig) (*results.Summary, error) {
	r = r.withDefaults()
	data, config, err := r.resumable(c)
	if err != nil {
		return nil, err
	}
	jobs := pending(data, config, c.Again)
	if len(jobs) == 0 && data.Run.Status == results.RunFinished {
		summary := results.Summarize(data.Run, data.Trials)
		summary.Dir = data.Dir
		return summary, nil
	}
	return r.reopen(ctx, config, data, jobs)
}

// CanResume says why a run cannot be continued: one that is still going, and one that was made with another version of
// gameday or of what it used, are errors of party usage that name what differs. It starts and writes nothing.
func (r *Runner) CanResume(c ResumeConfig) error {
	_, _, err := r.withDefaults().resumable(c)
	return err
}

func (r *Runner) resumable(c ResumeConfig) (*results.Data, RunConfig, error) {
	data, err := results.Load(c.Dir)
	if err != nil {
		return nil, RunConfig{}, err
	}
	config, err := configOf(data.Run)
	if err != nil {
		return nil, config, err
	}
	if c.Concurrency > 0 {
		config.Concurrency = c.Concurrency
	}
	config.defaults()
	if data.Run.Status == results.RunStarted {
		return nil, config, errs.Hint(errs.Newf(errs.Usage, "resume run %s: it is still going", data.Run.ID), "wait until it has finished")
	}
	if err := r.validate(config); err != nil {
		return nil, config, fmt.Errorf("resume run %s: %w", data.Run.ID, err)
	}
	if changed := r.drift(data, config); len(changed) > 0 {
		return nil, config, errs.Hint(errs.Newf(errs.Usage, "resume run %s: it would not be the same run: %s", data.Run.ID, strings.Join(changed, "; ")),
			"use what the run was started with, or start a new run")
	}
	return data, config, nil
}

func (r *Runner) reopen(ctx context.Context, config RunConfig, data *results.Data, jobs []job) (*results.Summary, error) {
	store, err := results.Reopen(data.Dir, r.now())
	if err != nil {
		return nil, err
	}
	defer store.Close()
	if err := r.recordKilled(store, data, config); err != nil {
		return nil, err
	}
	r.Observer.Event(Event{
		Time: r.now(), Type: RunStarted, Message: store.Dir(),
		Fields: map[string]any{"trials": len(jobs), "concurrency": config.Concurrency, "run": data.Run.ID, "resumed": true},
	})
	r.announce(config)
	summary, err := r.finish(store, r.playAll(ctx, config, store, jobs))
	return summary, errors.Join(err, r.release(ctx, config))
}

// finish writes how a run ended.
func (r *Runner) finish(store *results.Store, runErr error) (*results.Summary, error) {
	summary, err := store.Finish(r.now(), runErr)
	if err != nil {
		return summary, errors.Join(runErr, err)
	}
	r.Observer.Event(Event{Time: r.now(), Type: RunFinished, Message: store.Dir(), Fields: map[string]any{"status": summary.Status}})
	return summary, runErr
}

// configOf is what a stored run was asked to do.
func configOf(run results.Run) (RunConfig, error) {
	var groups []cluster.NodeGroup
	if len(run.NodeGroups) > 0 {
		if err := json.Unmarshal(run.NodeGroups, &groups); err != nil {
			return RunConfig{}, fmt.Errorf("read nodes of the stored run: %w", err)
		}
	}
	return RunConfig{
		Scenario: run.Scenario, Problems: run.Problems, Agents: run.Agents, Attempts: run.Attempts, Seeds: run.Seeds, Twins: run.Twins,
		Concurrency: run.Concurrency, Cluster: run.Cluster, Nodes: run.Nodes, NodeGroups: groups, Fidelity: run.Fidelity,
		InfraRetries: run.InfraRetries, TimeoutMultiplier: run.TimeoutMultiplier, Executor: run.Executor,
	}, nil
}

// pending lists the trials without a final record.
func pending(data *results.Data, config RunConfig, again []results.Status) []job {
	seeds := map[results.Key]int64{}
	var planned []results.Key
	for _, t := range config.plan() {
		planned, seeds[t.Key] = append(planned, t.Key), t.Seed
	}
	var out []job
	for _, p := range data.Pending(planned, config.InfraRetries, again...) {
		out = append(out, job{Trial: scenarios.Trial{Key: p.Key, Seed: seeds[p.Key]}, tries: p.Tries})
	}
	return out
}

// drift names what differs between the run as it was started and as it would go on.
func (r *Runner) drift(data *results.Data, config RunConfig) []string {
	run := data.Run
	var out []string
	differ := func(what, was, is string) {
		if was != is {
			out = append(out, fmt.Sprintf("%s was %s, is %s", what, or(was, "unknown"), or(is, "unknown")))
		}
	}
	differ("gameday", build(run.Tool), build(r.Tool))
	differ("Kubernetes", run.Tool.Kubernetes, r.Tool.Kubernetes)
	differ("Chaos Mesh", run.Tool.ChaosMesh, r.Tool.ChaosMesh)
	now := r.digests(config)
	for _, name := range slices.Sorted(maps.Keys(run.Digests)) {
		// A scenario that came from standard input or from a file that is gone is in run.json in full.
		if is, known := now[name]; known && is != run.Digests[name] {
			out = append(out, name+" has changed")
		}
	}
	for _, t := range data.Trials {
		if is, err := r.identity(config, t.Key, t.Seed); err == nil && t.Digest != "" && is != t.Digest && len(out) == 0 {
			out = append(out, fmt.Sprintf("trial %s was another (seed %d)", t.Key, t.Seed))
		}
	}
	for _, t := range config.plan() {
		for _, done := range data.Trials {
			if done.Key == t.Key && done.Seed != t.Seed {
				out = append(out, fmt.Sprintf("the seed of trial %s was %d, is %d", t.Key, done.Seed, t.Seed))
			}
		}
	}
	return out
}

// build says which gameday it is.
func build(t results.Tool) string {
	text := strings.TrimSpace(t.Version + " " + t.Commit)
	if t.Dirty {
		text += " (modified)"
	}
	return text
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// recordKilled gives the tries that the run's process was killed in their records.
func (r *Runner) recordKilled(store *results.Store, data *results.Data, config RunConfig) error {
	tries, err := data.Killed()
	if err != nil {
		return err
	}
	for _, k := range tries {
		record, err := r.blank(config, scenarios.Trial{Key: k.Key, Seed: scenarios.SeedFor(config.Seeds, k.Key.Attempt)})
		if err != nil {
			return err
		}
		if err := store.RecordKilled(k, record); err != nil {
			return fmt.Errorf("record trial %s: %w", k.Key, err)
		}
	}
	return nil
}

// blank is the record of a try that did not get to its end: what is known of the trial before it is played.
func (r *Runner) blank(config RunConfig, t scenarios.Trial) (results.TrialRecord, error) {
	resolved, err := r.resolve(t.Problem, t.Seed)
	if err != nil {
		return results.TrialRecord{}, err
	}
	record := results.TrialRecord{
		Key: t.Key, ProblemVersion: resolved.entry.Problem.Version, Seed: t.Seed, Draw: resolved.draw,
		Tasks: graders.Tasks(resolved.entry.Problem.Tasks, t.Twin), GraderVersion: graders.Version,
	}
	record.Digest, err = r.identity(config, t.Key, t.Seed)
	return record, err
}
