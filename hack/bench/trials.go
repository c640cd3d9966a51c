package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gameday-bench/gameday/results"
)

// measureTrials plays single trials one after the other, and several side by side.
func measureTrials(ctx context.Context, b *bench) error {
	p, err := b.player()
	if err != nil {
		return err
	}
	if err := overhead(ctx, b, p); err != nil {
		if err := b.fail(ctx, "overhead of one trial without the agent", err); err != nil {
			return err
		}
	}
	for _, j := range []int{1, 2, 4} {
		o, err := p.play(ctx, game{
			id: "many-" + strconv.Itoa(j), limit: time.After(b.limit), weigh: true,
			args: []string{"run", "hotel-wrong-target-port", "hotel-scaled-to-zero", "--agent", "nop", "--twins", "--attempts", "2", "-j", strconv.Itoa(j)},
		})
		if err != nil {
			err = b.fail(ctx, fmt.Sprintf("trials per hour, -j %d", j), err)
		} else {
			err = b.add(trialsPerHour(j, o))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// overhead is the wall clock of a whole `gameday run` of one trial with an agent that does nothing.
func overhead(ctx context.Context, b *bench, p *player) error {
	var took []time.Duration
	var inSeconds []float64
	for i := range max(b.runs, 5) {
		id := "one-" + strconv.Itoa(i+1)
		o, err := p.play(ctx, game{id: id, limit: time.After(b.limit), args: []string{"run", "hotel-wrong-target-port", "--agent", "nop"}})
		if err != nil {
			return err
		}
		if s := results.Summarize(o.data.Run, o.data.Trials); s.Scored != 1 || o.left.Count() > 0 {
			return fmt.Errorf("play run %s: trials %s; left behind: %s", id, counts(s.Statuses), o.left)
		}
		took, inSeconds = append(took, o.took), append(inSeconds, o.took.Seconds())
	}
	d := results.Describe(inSeconds)
	return b.add(row{
		Name: "overhead of one trial without the agent, process start included", Target: "<= 45 s", Measured: distribution(d),
		Met: d.P95 <= 45, Note: "runs: " + list(took),
	})
}

// trialsPerHour is the row of a run that played its trials j at a time, to its end or to its limit.
func trialsPerHour(j int, o outcome) row {
	summary := results.Summarize(o.data.Run, o.data.Trials)
	r := row{
		Name: fmt.Sprintf("trials per hour, -j %d", j), Target: "-", Measured: fmt.Sprintf("%.0f", float64(summary.Scored)/o.took.Hours()),
		Met: summary.Scored == summary.Planned && !o.stopped && o.left.Count() == 0,
		Note: fmt.Sprintf("%d of %d scored, %d retried; %.1f cores busy, %s, at most %s", summary.Scored, summary.Planned, summary.Retries, o.cores(),
			o.steal(), mebibytes(o.memory)),
	}
	if o.stopped {
		r.Note = fmt.Sprintf("interrupted, ended after %s; %s; trials: %s", o.took.Round(time.Second), r.Note, counts(tries(o.data.Trials)))
	}
	if o.left.Count() > 0 {
		r.Note += "; left behind: " + o.left.String()
	}
	return r
}
