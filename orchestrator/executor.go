package orchestrator

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

// Executor plays the trials of a run elsewhere than in this process, for example in the pods of a cluster.
type Executor interface {
	// Play plays the trials of w and puts every try into w.Store as it ends. It returns nil once each of them has a final record, be
	// it one that says why it could not be played. After an error, what was put into the store stays, and a resumed run plays the
	// rest: the error is of party interrupted where ctx ended.
	Play(ctx context.Context, w Work) error
}

// Work is what an Executor is asked to do.
type Work struct {
	Config RunConfig
	// Store is the run's directory, held open by the caller.
	Store *results.Store
	// Observer is told of each try that begins and ends, as for trials of this process.
	Observer Observer
	// Trials are those without a final record, in the order of the plan.
	Trials []Assignment
	// Blank returns the record of a try that never got to its end: what is known of the trial before it is played.
	Blank func(scenarios.Trial) (results.TrialRecord, error)
}

// Assignment is a trial that is to be played.
type Assignment struct {
	scenarios.Trial
	// Tries is how often it has failed for the harness's own reasons already.
	Tries int
}

// handOver has the executor play the trials.
func (r *Runner) handOver(ctx context.Context, config RunConfig, store *results.Store, jobs []job) error {
	w := Work{
		Config: config, Store: store, Observer: r.Observer,
		Blank: func(t scenarios.Trial) (results.TrialRecord, error) { return r.blank(config, t) },
	}
	for _, a := range jobs {
		w.Trials = append(w.Trials, Assignment{a.Trial, a.tries})
	}
	return r.Executor.Play(ctx, w)
}

// PlayTry plays one try of one trial of run, with a run directory of its own below dir, and returns its record and the directory of
// the try. It is what the workers of an Executor do. A try that failed has a record that says so: the error is for what kept it from
// having one.
func (r *Runner) PlayTry(ctx context.Context, run results.Run, dir string, t scenarios.Trial) (results.TrialRecord, string, error) {
	config, err := configOf(run)
	if err != nil {
		return results.TrialRecord{}, "", err
	}
	config.Problems, config.Agents, config.Executor = []string{t.Problem}, []string{t.Agent}, nil
	config.OutDir, config.RunID = dir, run.ID
	config.defaults()
	r = r.withDefaults()
	if err := r.validate(config); err != nil {
		return results.TrialRecord{}, "", err
	}
	store, err := results.Create(config.OutDir, r.describe(config, 1))
	if err != nil {
		return results.TrialRecord{}, "", err
	}
	defer store.Close()
	if _, err := r.playOnce(ctx, config, store, t, func() {}); err != nil {
		return results.TrialRecord{}, "", fmt.Errorf("record trial %s: %w", t.Key, err)
	}
	data, err := results.Load(store.Dir())
	if err != nil {
		return results.TrialRecord{}, "", err
	}
	if len(data.Trials) != 1 {
		return results.TrialRecord{}, "", fmt.Errorf("record trial %s: %d records instead of one", t.Key, len(data.Trials))
	}
	record := data.Trials[0]
	return record, filepath.Join(store.Dir(), filepath.FromSlash(record.Dir)), nil
}

// Mismatch names what differs between what run was started with and what this process has: the build, a digest. It is empty where
// this process would play the same trials.
func (r *Runner) Mismatch(run results.Run) ([]string, error) {
	config, err := configOf(run)
	if err != nil {
		return nil, err
	}
	config.defaults()
	return r.withDefaults().drift(&results.Data{Run: run}, config), nil
}
