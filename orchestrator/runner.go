package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

// Run plays every trial of the configuration and returns the summary of the run, which is also in the run directory. The
// error is for what ended the run itself: bad names, a problem that the clusters cannot have (see RunConfig.SkipInfeasible), an unwritable
// directory, an interruption. Trials that failed are in the summary. Finished trials are on the disk whatever happens.
func (r *Runner) Run(ctx context.Context, config RunConfig) (*results.Summary, error) {
	config.defaults()
	r = r.withDefaults()
	config, err := r.leaveOut(config)
	if err != nil {
		return nil, err
	}
	if err := r.validate(config); err != nil {
		return nil, err
	}
	trials := config.plan()
	store, err := results.Create(config.OutDir, r.describe(config, len(trials)))
	if err != nil {
		return nil, err
	}
	defer store.Close()
	r.Observer.Event(Event{
		Time: r.now(), Type: RunStarted, Message: store.Dir(),
		Fields: map[string]any{"trials": len(trials), "concurrency": config.Concurrency, "run": store.Run().ID},
	})
	r.announce(config)
	var jobs []job
	for _, t := range trials {
		jobs = append(jobs, job{Trial: t})
	}
	summary, err := r.finish(store, r.playAll(ctx, config, store, jobs))
	return summary, errors.Join(err, r.release(ctx, config))
}

func (r *Runner) withDefaults() *Runner {
	out := *r
	if out.Clock == nil {
		out.Clock = clock.RealClock{}
	}
	if out.Log == nil {
		out.Log = slog.New(slog.DiscardHandler)
	}
	if out.Observer == nil {
		out.Observer = ObserverFunc(func(Event) {})
	}
	return &out
}

func (r *Runner) now() time.Time { return r.Clock.Now().UTC() }

// validate resolves every name before anything is started.
func (r *Runner) validate(config RunConfig) error {
	if len(config.Problems) == 0 || len(config.Agents) == 0 {
		return errs.Hint(errs.Newf(errs.Usage, "plan run: %d problems, %d agents", len(config.Problems), len(config.Agents)),
			"name at least one problem and one agent (--agent)")
	}
	var all []error
	for _, id := range config.Problems {
		p, err := r.resolve(id, 0)
		if err == nil {
			err = r.feasible(p, config.Cluster)
		}
		all = append(all, err)
	}
	for _, name := range config.Agents {
		_, err := agents.Lookup(name)
		all = append(all, err)
	}
	if provider, ok := r.Providers[config.Cluster]; ok {
		all = append(all, fits(provider, config))
	} else {
		err := nearest.Unknown("cluster provider", config.Cluster, slices.Sorted(maps.Keys(r.Providers)))
		all = append(all, errs.With(errs.Usage, errs.Hint(err, "%s", err.Hint())))
	}
	if config.Executor != nil && r.Executor == nil {
		all = append(all, errs.Newf(errs.Usage, "plan run: its trials are played by executor %s, which is not set up", config.Executor.Kind))
	}
	return errors.Join(all...)
}

// playOnce plays one try of a trial and writes its record. It calls up once its system stands, or will not.
func (r *Runner) playOnce(ctx context.Context, config RunConfig, store *results.Store, a scenarios.Trial, up func()) (results.TrialRecord, error) {
	dir, err := store.OpenTrial(a.Key)
	if err != nil {
		return results.TrialRecord{}, err
	}
	rec := newRecorder(dir, r.Observer)
	began := r.now()
	rec.Event(Event{Time: began, Type: TrialStarted, Trial: a.Key.String(), Fields: map[string]any{"seed": a.Seed, "retry": dir.Retry()}})
	resolved, err := r.resolve(a.Problem, a.Seed)
	if err != nil {
		return results.TrialRecord{}, err
	}
	t := r.newTrial(config, resolved, a, dir, rec)
	t.up = up
	t.env.provisioned = func(c cluster.Cluster) error { return recordImages(store, c) }
	out := t.run(ctx)
	record := t.record(out, resolved, a, began, r.now())
	if record.Digest, err = r.identity(config, a.Key, a.Seed); err != nil {
		return results.TrialRecord{}, err
	}
	rec.Event(Finished(record, r.now()))
	return record, errors.Join(rec.write(out), dir.Finish(record))
}

// Finished is the event of a try that has ended with record.
func Finished(record results.TrialRecord, at time.Time) Event {
	scores := map[string]any{}
	for _, s := range record.Scores {
		scores[s.Task] = s.Value
	}
	e := Event{
		Time: at, Type: TrialFinished, Trial: record.Key.String(), Message: string(record.Status),
		Seconds: record.FinishedAt.Sub(record.StartedAt).Seconds(),
		Fields:  map[string]any{"scores": scores, "agent": record.Agent, "twin": record.Twin},
	}
	if record.Error != nil {
		e.Error = record.Error.Message
	}
	return e
}

// identity is the digest of what makes a trial this one: see results.Identity.
func (r *Runner) identity(config RunConfig, key results.Key, seed int64) (string, error) {
	entry, err := r.Problems.Get(key.Problem)
	if err != nil {
		return "", err
	}
	return results.Identity(entry.Digest, r.agentDigest(key.Agent), config.Cluster, seed, key.Attempt, key.Twin), nil
}

// describe is run.json at the start.
func (r *Runner) describe(config RunConfig, planned int) results.Run {
	id := config.RunID
	if id == "" {
		id = results.NewRunID(r.now(), config.Scenario)
	}
	run := results.Run{
		ID: id, Scenario: config.Scenario, Argv: config.Argv, Config: config.Config, Problems: slices.Clone(config.Problems),
		LeftOut: config.LeftOut, Agents: slices.Clone(config.Agents), Attempts: config.Attempts, Seeds: config.Seeds, Twins: config.Twins,
		Cluster: config.Cluster, Nodes: config.Nodes, Fidelity: config.Fidelity, Executor: config.Executor, Concurrency: config.Concurrency,
		InfraRetries: config.InfraRetries, TimeoutMultiplier: config.TimeoutMultiplier, Planned: planned, Tool: r.Tool, Host: host(), StartedAt: r.now(),
		Digests: r.digests(config), ProblemVersions: map[string]int{},
	}
	if len(config.NodeGroups) > 0 {
		run.NodeGroups, _ = json.Marshal(config.NodeGroups) // Plain data always encodes.
	}
	for _, problem := range config.Problems {
		if entry, err := r.Problems.Get(problem); err == nil {
			run.ProblemVersions[problem] = entry.Problem.Version
		}
	}
	return run
}
