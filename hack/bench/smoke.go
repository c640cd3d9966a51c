package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gameday-bench/gameday/results"
)

// smokeLimit is far above what the suite takes: a run that hangs must not keep the rest of the table from being printed.
const smokeLimit = time.Hour

// measureSmoke plays the smoke suite several times over; each repeat is a row, and so is what they have in common.
func measureSmoke(ctx context.Context, b *bench) error {
	p, err := b.player()
	if err != nil {
		return err
	}
	var verdicts []verdict
	for i := range b.smokeRepeats {
		name := fmt.Sprintf("smoke suite, -j %d, repeat %d", b.smokeJobs, i+1)
		o, err := p.play(ctx, game{
			id: fmt.Sprintf("smoke-%d", i+1), limit: time.After(smokeLimit),
			args: []string{"run", "smoke", "--agent", "oracle", "--agent", "nop", "--agent", "playbook", "-j", strconv.Itoa(b.smokeJobs)},
		})
		v := verdict{}
		if err != nil {
			err = b.fail(ctx, name, err)
		} else {
			v = judge(o.data)
			err = b.add(smokeRow(name, v, o))
		}
		if err != nil {
			return err
		}
		verdicts = append(verdicts, v)
	}
	if len(verdicts) == 0 {
		return nil
	}
	return b.add(smokeRows(verdicts, b.smokeJobs)...)
}

const smokeTarget = "all graded, oracle 1.0, nop 0 and silent on twins, playbook between"

// smokeRow is one repeat.
func smokeRow(name string, v verdict, o outcome) row {
	between := "between the two"
	if !v.between {
		between = "not between the two"
	}
	r := row{
		Name: name, Target: smokeTarget, Met: v.held() && o.left.Count() == 0 && !o.stopped,
		Measured: fmt.Sprintf("%d of %d graded; oracle 1.0: %s; nop 0, and 1.0 on twins: %s; playbook %.2f, %s",
			v.graded, v.planned, answer(v.oracle), answer(v.nop), v.playbook, between),
		Note: fmt.Sprintf("%.1f minutes, %.0f trials per hour; overhead %s; tried again: %s; %.1f cores busy, %s", o.took.Minutes(),
			float64(v.graded)/o.took.Hours(), distribution(v.overhead), counts(v.retried), o.cores(), o.steal()),
	}
	if len(v.ungraded) > 0 {
		r.Note += "; not graded: " + counts(v.ungraded)
	}
	if o.stopped {
		r.Note += "; interrupted at its limit"
	}
	if o.left.Count() > 0 {
		r.Note += "; left behind: " + o.left.String()
	}
	return r
}

// smokeRows is what the repeats, with so many trials at a time, have in common.
func smokeRows(verdicts []verdict, jobs int) []row {
	held := 0
	retried := map[results.Status]int{}
	var means, overheads []float64
	for _, v := range verdicts {
		if v.held() {
			held++
		}
		for status, n := range v.retried {
			retried[status] += n
		}
		overheads = append(overheads, v.overheads...)
		if v.planned > 0 { // One that failed as a whole has no mean.
			means = append(means, v.playbook)
		}
	}
	playbook := "unknown"
	if len(means) > 0 {
		playbook = fmt.Sprintf("%.2f to %.2f", slices.Min(means), slices.Max(means))
	}
	return []row{
		{
			Name: "smoke suite, all repeats", Target: "every repeat holds", Measured: fmt.Sprintf("%d of %d", held, len(verdicts)), Met: held == len(verdicts),
			Note: fmt.Sprintf("playbook %s; tried again: %s", playbook, counts(retried)),
		},
		{Name: fmt.Sprintf("overhead of one trial in the smoke suite, -j %d", jobs), Target: "-", Measured: distribution(results.Describe(overheads)), Met: true,
			Note: fmt.Sprintf("%d trials", len(overheads))},
	}
}

func distribution(d results.Distribution) string {
	return fmt.Sprintf("median %.1f s, p95 %.1f s, highest %.1f s", d.Median, d.P95, d.Max)
}
