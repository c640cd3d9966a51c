package steps

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/mounts"
)

// State is what came of a step.
type State string

// The states.
const (
	Done   State = "done"
	Kept   State = "kept"
	Failed State = "failed"
	// NotRun is a step that was to be done, but another one failed before.
	NotRun State = "not run"
)

// Outcome is what came of one step.
type Outcome struct {
	Step  string
	State State
	// Took is the time of the step itself, without what it waited for.
	Took time.Duration
	// Bytes is the size of its result.
	Bytes int64
	Note  string
}

// Options say how to run a plan.
type Options struct {
	// Places is how many steps of a lane run at a time; one where nothing is said.
	Places map[Lane]int
	// Fresh does every step again.
	Fresh bool
	// Now is the clock.
	Now func() time.Time
	// Started and Finished are told of every step, by one goroutine at a time.
	Started  func(step string)
	Finished func(Outcome)
}

// Run does the steps called want with everything that they need and that is not kept from before. It returns what came of each of
// them, in the plan's order, also when it fails: with the first failure no more steps are begun, and those that run are interrupted.
func (p *Plan) Run(ctx context.Context, o Options, want ...string) ([]Outcome, error) {
	for _, name := range want {
		if _, known := p.index[name]; !known {
			return nil, fmt.Errorf("run steps: there is no step %s", name)
		}
	}
	if err := os.MkdirAll(p.root, 0o755); err != nil {
		return nil, fmt.Errorf("make directory of results: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{plan: p, options: o, outcomes: map[string]Outcome{}, busy: map[Lane]int{}, ended: make(chan ended), cancel: cancel}
	for _, name := range want {
		r.need(name)
	}
	r.loop(ctx)
	var out []Outcome
	for _, s := range p.steps {
		if outcome, named := r.outcomes[s.Name]; named {
			out = append(out, outcome)
		}
	}
	return out, r.failure
}

// run is one run of a plan. Only the goroutine of Run touches it.
type run struct {
	plan     *Plan
	options  Options
	waiting  []int // Steps to be begun, as indexes of the plan, in its order.
	outcomes map[string]Outcome
	busy     map[Lane]int
	running  int
	ended    chan ended
	cancel   context.CancelFunc
	failure  error
}

// ended is what a step's goroutine says at last.
type ended struct {
	step    Step
	outcome Outcome
	err     error
}

// need adds a step that has to be done, with all that it needs, unless its result is kept.
func (r *run) need(name string) {
	i := r.plan.index[name]
	if _, kept := r.outcomes[name]; kept || slices.Contains(r.waiting, i) {
		return
	}
	s := r.plan.steps[i]
	if !s.Effect && !r.options.Fresh {
		if _, err := os.Stat(r.plan.Dir(name)); err == nil {
			r.outcomes[name] = Outcome{Step: name, State: Kept, Bytes: size(r.plan.Dir(name))}
			return
		}
	}
	r.waiting = append(r.waiting, i)
	slices.Sort(r.waiting)
	for _, earlier := range s.After {
		r.need(earlier)
	}
}

// loop begins steps as soon as what they need is there and their lane has a place, until nothing is left.
func (r *run) loop(ctx context.Context) {
	for {
		if r.failure == nil {
			r.begin(ctx)
		}
		if r.running == 0 {
			break
		}
		r.end(<-r.ended)
	}
	for _, i := range r.waiting {
		name := r.plan.steps[i].Name
		r.outcomes[name] = Outcome{Step: name, State: NotRun}
	}
}

// begin begins what can be begun.
func (r *run) begin(ctx context.Context) {
	var later []int
	for _, i := range r.waiting {
		s := r.plan.steps[i]
		if r.busy[s.Lane] >= max(r.options.Places[s.Lane], 1) || !r.ready(s) {
			later = append(later, i)
			continue
		}
		r.busy[s.Lane]++
		r.running++
		r.options.Started(s.Name)
		go func() { r.ended <- r.plan.do(ctx, s, r.options) }()
	}
	r.waiting = later
}

// ready says whether everything that s needs is there.
func (r *run) ready(s Step) bool {
	for _, earlier := range s.After {
		if _, done := r.outcomes[earlier]; !done {
			return false
		}
	}
	return true
}

// end takes note of a step that ended.
func (r *run) end(e ended) {
	r.busy[e.step.Lane]--
	r.running--
	r.outcomes[e.step.Name] = e.outcome
	r.options.Finished(e.outcome)
	if e.err != nil && r.failure == nil {
		r.failure = fmt.Errorf("%s: %w", e.step.Name, e.err)
		r.cancel()
	}
}

// do does one step. A result takes its place only when it is whole.
func (p *Plan) do(ctx context.Context, s Step, o Options) ended {
	start := o.Now()
	note, err := p.fill(ctx, s)
	out := Outcome{Step: s.Name, State: Done, Took: o.Now().Sub(start), Note: note}
	if err != nil {
		out.State = Failed
	} else if !s.Effect {
		out.Bytes = size(p.Dir(s.Name))
	}
	return ended{s, out, err}
}

func (p *Plan) fill(ctx context.Context, s Step) (string, error) {
	after := Dirs{}
	for _, earlier := range s.After {
		after[earlier] = p.Dir(earlier)
	}
	if s.Effect {
		return s.Run(ctx, "", after)
	}
	final := p.Dir(s.Name)
	half := final + ".partial"
	if err := mounts.RemoveAll(half); err != nil {
		return "", fmt.Errorf("remove what an interrupted run left: %w", err)
	}
	if err := os.Mkdir(half, 0o755); err != nil {
		return "", fmt.Errorf("make directory of the result: %w", err)
	}
	note, err := s.Run(ctx, half, after)
	if err != nil {
		return "", errors.Join(err, mounts.RemoveAll(half))
	}
	if err := mounts.RemoveAll(final); err != nil {
		return "", fmt.Errorf("remove the result of an earlier run: %w", err)
	}
	if err := os.Rename(half, final); err != nil {
		return "", fmt.Errorf("put the result in its place: %w", err)
	}
	return note, nil
}

// size is the sum of the sizes of the files below dir, as far as they can be read: it is only shown.
func size(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // What cannot be read is not counted.
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
