package scaleout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/bundle"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

const (
	// readPatience is how long a worker waits for the store before its trial, writePatience how long it tries to store what it has
	// played: longer than it takes to notice that the depot is gone, and to make another one.
	readPatience  = 5 * time.Minute
	writePatience = storePatience + startPatience + 2*time.Minute
	// hurriedPatience is writePatience for a worker that was told to stop: within workerGrace, with time left for its clean-up.
	hurriedPatience = 45 * time.Second
)

// Player plays trials; *orchestrator.Runner is one.
type Player interface {
	// Mismatch names what differs between what run was started with and what is here; empty for nothing.
	Mismatch(run results.Run) ([]string, error)
	// PlayTry plays one try below dir, and returns its record and its directory. The error is for a try that has no record.
	PlayTry(ctx context.Context, run results.Run, dir string, t scenarios.Trial) (results.TrialRecord, string, error)
}

var _ Player = (*orchestrator.Runner)(nil)

// Worker plays one try of the trial of one completion index, in a pod of the Job. Its fields are set once, before Work.
type Worker struct {
	Store blob.Store
	// Index is the completion index.
	Index int
	// Dir is an empty directory for packs and for the run of the try.
	Dir string
	// Place says where the worker is, for the record. The pod's name tells its tries from those of other pods.
	Place results.Placement
	// Clock and Log may be nil: real time, no log.
	Clock clock.Clock
	Log   *slog.Logger
}

// WorkerOf makes the worker of this pod from the variables that the Job has set. What is missing is of party usage.
func WorkerOf(store blob.Store, dir string, lookupEnv func(string) (string, bool)) (*Worker, error) {
	env := func(name string) string {
		value, _ := lookupEnv(name)
		return value
	}
	index, err := strconv.Atoi(env(indexVariable))
	if err != nil || index < 0 {
		return nil, errs.Newf(errs.Usage, "read completion index: %s is %q", indexVariable, env(indexVariable))
	}
	w := &Worker{Store: store, Index: index, Dir: dir, Place: results.Placement{
		Namespace: env(namespaceVariable), Pod: env(podVariable), Node: env(nodeVariable), Image: env(imageVariable),
	}}
	if w.Place.Pod == "" {
		return nil, errs.Newf(errs.Usage, "read name of the pod: %s is not set", podVariable)
	}
	return w, nil
}

// Work plays the try and returns when it is stored. player makes what plays it, with the private packs of the run in the given
// directories. It returns nil once the trial has its final record, whoever has made it. Of errors, those with the code
// errs.ExitTryAgain ask for another pod, and those with errs.ExitUnfit say that none of this image will do.
func (w *Worker) Work(ctx context.Context, player func(packs []string) (Player, error)) error {
	w = w.withDefaults()
	plan, err := w.plan(ctx)
	if err != nil {
		return err
	}
	if w.Index >= len(plan.Tasks) {
		return unfit(errs.Newf(errs.Usage, "play index %d: the plan has %s", w.Index, trials(len(plan.Tasks))))
	}
	task := plan.Tasks[w.Index]
	played, done, err := w.played(ctx, task)
	if err != nil {
		return err
	}
	if done || played.final(plan.Run.InfraRetries) {
		w.Log.Info("the trial has its final record", "trial", task.Key.String())
		return nil
	}
	p, err := w.prepare(ctx, plan, player)
	if err != nil {
		return err
	}
	record, dir, err := p.PlayTry(ctx, plan.Run, filepath.Join(w.Dir, "runs"), task.trial())
	if err != nil {
		return fmt.Errorf("play trial %s: %w", task.Key, err)
	}
	if err := w.store(ctx, plan.Run.ID, record, dir, played.failed); err != nil {
		return err
	}
	played.add(record.Status)
	switch {
	case played.final(plan.Run.InfraRetries):
		return nil
	case record.Status == results.Cancelled:
		return errs.With(errs.Interrupted, fmt.Errorf("play trial %s: %w", task.Key, causeOf(ctx)))
	}
	return errs.Exit(errs.ExitTryAgain, errs.Newf(errs.Infra, "play trial %s: %s: %s", task.Key, record.Status, messageOf(record)))
}

func (w *Worker) withDefaults() *Worker {
	out := *w
	if out.Clock == nil {
		out.Clock = clock.RealClock{}
	}
	if out.Log == nil {
		out.Log = slog.New(slog.DiscardHandler)
	}
	return &out
}

func unfit(err error) error { return errs.Exit(errs.ExitUnfit, err) }

// causeOf is why ctx ended; a trial may also be cancelled while it did not.
func causeOf(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return errors.New("it was cancelled")
}

func messageOf(record results.TrialRecord) string {
	if record.Error == nil {
		return "no reason is recorded"
	}
	return record.Error.Message
}

// get reads an object with patience: the depot may have to start first, or be made anew.
func (w *Worker) get(ctx context.Context, key string) (data []byte, err error) {
	err = blob.Patiently(ctx, w.Clock, readPatience, func(ctx context.Context) error {
		data, err = w.Store.Get(ctx, key)
		if errors.Is(err, fs.ErrNotExist) {
			return errors.New("it is not there yet") // A depot that was made anew is filled again.
		}
		return err
	})
	if err != nil {
		return nil, errs.With(errs.Infra, fmt.Errorf("read %s: %w", key, err))
	}
	return data, nil
}

func (w *Worker) plan(ctx context.Context) (Plan, error) {
	var p Plan
	data, err := w.get(ctx, planKey)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return p, unfit(errs.With(errs.Usage, fmt.Errorf("read plan: %w", err)))
	}
	if p.SchemaVersion != planVersion {
		return p, unfit(errs.Newf(errs.Usage, "read plan: it is of version %d, want %d", p.SchemaVersion, planVersion))
	}
	return p, nil
}

// played is how far the trial has got by the store, and whether it is marked as done.
func (w *Worker) played(ctx context.Context, task Task) (*ledger, bool, error) {
	l := &ledger{failed: task.Tries}
	var tries, done []string
	err := blob.Patiently(ctx, w.Clock, readPatience, func(ctx context.Context) error {
		var err error
		if tries, err = w.Store.List(ctx, indexPrefix(w.Index)); err != nil {
			return err
		}
		done, err = w.Store.List(ctx, doneKey(w.Index))
		return err
	})
	if err != nil {
		return nil, false, errs.With(errs.Infra, fmt.Errorf("list tries: %w", err))
	}
	for _, key := range tries {
		if t, err := parseTry(key); err == nil && !scored(l.last) { // A pod that was cut off may end later than its successor.
			l.add(t.status)
		}
	}
	for _, key := range done {
		if key == doneKey(w.Index) { // done/1 is the beginning of done/12, too.
			return l, true, nil
		}
	}
	return l, false, nil
}

// scored reports whether a status ends a trial whatever else is tried.
func scored(status results.Status) bool {
	return status != "" && status != results.Cancelled && !status.Retryable()
}

// prepare unpacks the packs and makes the player, which has to be the one that the run was started with.
func (w *Worker) prepare(ctx context.Context, plan Plan, player func(packs []string) (Player, error)) (Player, error) {
	var packs []string
	for i, key := range plan.Packs {
		data, err := w.get(ctx, key)
		if err != nil {
			return nil, err
		}
		dir := filepath.Join(w.Dir, "packs", strconv.Itoa(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, errs.With(errs.Infra, fmt.Errorf("unpack %s: %w", key, err))
		}
		if err := bundle.Unpack(data, dir); err != nil {
			return nil, errs.With(errs.Infra, err)
		}
		packs = append(packs, dir)
	}
	p, err := player(packs)
	if err != nil {
		return nil, unfit(err)
	}
	changed, err := p.Mismatch(plan.Run)
	if err != nil {
		return nil, unfit(err)
	}
	if len(changed) > 0 {
		return nil, unfit(errs.Newf(errs.Usage, "it would not be the same run: %s", strings.Join(changed, "; ")))
	}
	return p, nil
}

// store puts the directory of the try into the store, also when the worker was told to stop meanwhile.
func (w *Worker) store(ctx context.Context, run string, record results.TrialRecord, dir string, number int) error {
	place := w.Place
	if data, err := results.Load(filepath.Join(w.Dir, "runs", run)); err == nil {
		place.Host = data.Run.Host
	}
	if err := results.MarkPlacement(dir, place); err != nil {
		return errs.With(errs.Infra, fmt.Errorf("store try: %w", err))
	}
	data, err := bundle.Pack(dir)
	if err != nil {
		return errs.With(errs.Infra, fmt.Errorf("store try: %w", err))
	}
	patience := writePatience
	if ctx.Err() != nil {
		patience = hurriedPatience
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	key := try{index: w.Index, number: number, status: record.Status, pod: w.Place.Pod}.key()
	began := w.Clock.Now()
	err = blob.Patiently(ctx, w.Clock, patience, func(ctx context.Context) error { return w.Store.Put(ctx, key, data) })
	if err != nil {
		return errs.With(errs.Infra, fmt.Errorf("store try: %w", err))
	}
	w.Log.Info("stored", "key", key, "bytes", len(data), "took", w.Clock.Since(began))
	return nil
}
