package kill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// Options say whom to kill, how often, and in which runs.
type Options struct {
	// Seed is that of the moments and of the choice of nodes.
	Seed uint64
	// Rounds is how often each victim is killed.
	Rounds int
	// Only are the victims; all where it is empty.
	Only []string
	// Dir is where runs are kept; a temporary directory that goes afterwards where it is empty. It has to be short: unix
	// sockets are below it.
	Dir string
	// Agents play the one problem of a run, each Attempts times.
	Agents   []string
	Attempts int
	// Length is how long a run takes. Where it is 0, a run that nobody kills comes first and says it.
	Length time.Duration
	// Say tells what is going on while it goes on.
	Say func(text string)
}

// Prove plays all rounds and reports each. The reports of the rounds so far come with an error, too: that of a round is in its
// report.
func Prove(ctx context.Context, o Options) ([]Report, error) {
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "gk-")
		if err != nil {
			return nil, fmt.Errorf("make directory of runs: %w", err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		o.Dir = dir
	}
	arena, err := newArena(o.Dir, o.Agents, o.Attempts)
	if err != nil {
		return nil, err
	}
	if o.Length == 0 {
		o.Say("playing a run that nobody kills ...")
		if o.Length, err = arena.unharmed(ctx); err != nil {
			return nil, err
		}
		o.Say(fmt.Sprintf("it took %s", o.Length.Round(100*time.Millisecond)))
	}
	var reports []Report
	for i := range o.Rounds {
		for _, victim := range Victims() {
			if len(o.Only) > 0 && !slices.Contains(o.Only, victim) {
				continue
			}
			r := arena.round(ctx, fmt.Sprintf("%s-%d", victim, i+1), draw(o, victim, i))
			if ctx.Err() != nil {
				return reports, context.Cause(ctx)
			}
			o.Say(r.Line())
			reports = append(reports, r)
		}
	}
	return reports, nil
}

// draw draws the moment of a round from its part of the run.
func draw(o Options, victim string, round int) killing {
	// A stream of its own for each victim and round: Only draws the same moments.
	random := rand.New(rand.NewPCG(o.Seed, uint64(len(victim)*1000+round)))
	part := o.Length / time.Duration(o.Rounds)
	moment := time.Duration(round)*part + time.Duration(random.Int64N(int64(part)))
	return killing{victim: victim, node: 1 + random.IntN(3), after: moment}
}
