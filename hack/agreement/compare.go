package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/results"
)

// absent is what is shown where a trial has no record.
const absent = "-"

// comparison is two runs side by side.
type comparison struct {
	sides [2]*results.Data
	// names are the kinds of clusters, or the runs' names where both ran on the same kind.
	names [2]string
	// latest are the last tries of each side, by key.
	latest [2]map[results.Key]results.TrialRecord
	// shared are the problems of both, in the order of the first; alone those of one.
	shared []string
	alone  []alone
	// differences are in the order of the report; verdicts is how many pairs were compared.
	differences []difference
	verdicts    int
}

// difference is one task of one trial with two verdicts.
type difference struct {
	results.Key
	task  string
	shown [2]string
	cause string // "" where there is none
}

// alone is a problem that only one of the two played.
type alone struct {
	problem string
	missing string // the name of the other one
	cause   string
}

// compare pairs the verdicts of two runs. Runs that did not ask for the same are an error of party usage that says what differs.
func compare(a, b *results.Data) (*comparison, error) {
	c := &comparison{sides: [2]*results.Data{a, b}, names: [2]string{a.Run.Cluster, b.Run.Cluster}}
	if c.names[0] == c.names[1] {
		c.names = [2]string{a.Run.ID, b.Run.ID}
	}
	if err := sameQuestion(a.Run, b.Run); err != nil {
		return nil, err
	}
	for _, problem := range a.Run.Problems {
		if slices.Contains(b.Run.Problems, problem) {
			c.shared = append(c.shared, problem)
		} else {
			c.alone = append(c.alone, alone{problem, c.names[1], reason(b.Run, problem)})
		}
	}
	for _, problem := range b.Run.Problems {
		if !slices.Contains(a.Run.Problems, problem) {
			c.alone = append(c.alone, alone{problem, c.names[0], reason(a.Run, problem)})
		}
	}
	if len(c.shared) == 0 {
		return nil, errs.Newf(errs.Usage, "compare runs %s and %s: they have no problem in common", a.Run.ID, b.Run.ID)
	}
	for i, side := range c.sides {
		c.latest[i] = map[results.Key]results.TrialRecord{}
		for _, r := range results.Latest(side.Trials) {
			c.latest[i][r.Key] = r
		}
	}
	for _, key := range c.keys() {
		for _, task := range c.tasks(key) {
			c.verdicts++
			shown := c.shown(key, task)
			if shown[0] != shown[1] {
				c.differences = append(c.differences, difference{Key: key, task: task, shown: shown})
			}
		}
	}
	return c, nil
}

// reason is why a run has left a problem out, as it says itself; "" where it does not.
func reason(run results.Run, problem string) string {
	for _, l := range run.LeftOut {
		if l.Problem == problem {
			return "It was left out, for " + l.Reason + "."
		}
	}
	return ""
}

// sameQuestion says in what two runs differ that has to be the same for their answers to be compared.
func sameQuestion(a, b results.Run) error {
	var all []error
	differ := func(what string, x, y any) {
		if fx, fy := fmt.Sprint(x), fmt.Sprint(y); fx != fy {
			all = append(all, fmt.Errorf("%s: %s and %s", what, fx, fy))
		}
	}
	sorted := func(list []string) []string { return slices.Sorted(slices.Values(list)) }
	differ("agents", sorted(a.Agents), sorted(b.Agents))
	differ("attempts", a.Attempts, b.Attempts)
	differ("seeds", a.Seeds, b.Seeds)
	differ("twins", a.Twins, b.Twins)
	for _, problem := range a.Problems {
		if slices.Contains(b.Problems, problem) {
			name := "problem/" + problem
			differ(name, a.Digests[name], b.Digests[name])
		}
	}
	if len(all) == 0 {
		return nil
	}
	return errs.With(errs.Usage, fmt.Errorf("compare runs %s and %s: they did not ask for the same: %w", a.ID, b.ID, errors.Join(all...)))
}

// keys are the trials of the shared problems that either side has, sorted.
func (c *comparison) keys() []results.Key {
	seen := map[results.Key]bool{}
	var out []results.Key
	for _, side := range c.latest {
		for key := range side {
			if slices.Contains(c.shared, key.Problem) && !seen[key] {
				seen[key] = true
				out = append(out, key)
			}
		}
	}
	slices.SortFunc(out, results.Key.Compare)
	return out
}

// tasks are what a trial is graded on: on a twin, only detection.
func (c *comparison) tasks(key results.Key) []string {
	var out []string
	for _, side := range c.latest {
		for _, task := range side[key].Tasks {
			if !slices.Contains(out, task) && (!key.Twin || task == detection) {
				out = append(out, task)
			}
		}
	}
	return out
}

// detection is the one task that a twin has.
const detection = "detection"

// shown are the two verdicts on a task.
func (c *comparison) shown(key results.Key, task string) [2]string {
	var out [2]string
	for i, side := range c.latest {
		r, ok := side[key]
		switch {
		case !ok:
			out[i] = absent
		case !r.Status.Scored():
			out[i] = string(r.Status)
		default:
			out[i] = verdict(r, task)
		}
	}
	return out
}

// verdict is the score of a task; one without a score was not answered by the graders.
func verdict(r results.TrialRecord, task string) string {
	score, ok := r.Score(task)
	if !ok {
		return absent
	}
	text := strconv.FormatFloat(score.Value, 'g', 4, 64)
	if r.Status == results.Graded {
		return text
	}
	return text + " " + string(r.Status)
}

// explain gives each difference, and each problem of one side only of which the other run does not say why, the first cause that fits.
func (c *comparison) explain(all []cause) {
	for i := range c.differences {
		d := &c.differences[i]
		if at := slices.IndexFunc(all, func(each cause) bool { return each.fits(*d, c.names) }); at >= 0 {
			d.cause = all[at].Cause
		}
	}
	for i := range c.alone {
		p := &c.alone[i]
		if p.cause != "" {
			continue
		}
		if at := slices.IndexFunc(all, func(each cause) bool { return each.Problem == p.problem && each.Missing == p.missing }); at >= 0 {
			p.cause = all[at].Cause
		}
	}
}

// unexplained lists what has no cause.
func (c *comparison) unexplained() []string {
	var out []string
	for _, d := range c.differences {
		if d.cause == "" {
			out = append(out, c.sentence(d))
		}
	}
	for _, p := range c.alone {
		if p.cause == "" {
			out = append(out, fmt.Sprintf("%s: not played on %s", p.problem, p.missing))
		}
	}
	return out
}

// sentence is "p (twin), agent nop, detection: embedded 1, kind 0".
func (c *comparison) sentence(d difference) string {
	return fmt.Sprintf("%s, agent %s, %s: %s %s, %s %s", c.trial(d.Key), d.Agent, d.task, c.names[0], d.shown[0], c.names[1], d.shown[1])
}

// trial is the problem as the report calls it.
func (c *comparison) trial(key results.Key) string {
	var more []string
	if key.Twin {
		more = append(more, "twin")
	}
	if c.sides[0].Run.Attempts > 1 {
		more = append(more, "attempt "+strconv.Itoa(key.Attempt))
	}
	if len(more) == 0 {
		return key.Problem
	}
	return key.Problem + " (" + strings.Join(more, ", ") + ")"
}
