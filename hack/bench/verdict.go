package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/results"
)

// verdict is what the records of a smoke run say.
type verdict struct {
	graded, planned int
	// retried counts the tries that were followed by another one; ungraded the last tries that are not graded.
	retried, ungraded map[results.Status]int
	// oracle and nop list where the two do not have the scores that they must have: none is right.
	oracle, nop []string
	// playbook is its mean, between says whether it is strictly between the other two.
	playbook float64
	between  bool
	overhead results.Distribution
	// overheads are the single figures, in seconds.
	overheads []float64
}

// held reports whether a run shows all that it has to.
func (v verdict) held() bool {
	return v.planned > 0 && v.graded == v.planned && len(v.oracle) == 0 && len(v.nop) == 0 && v.between
}

// judge reads the records of a run of oracle, nop and playbook.
func judge(data *results.Data) verdict {
	summary := results.Summarize(data.Run, data.Trials)
	v := verdict{
		graded: summary.Statuses[results.Graded], planned: summary.Planned, overhead: summary.Overhead,
		retried: tries(data.Trials), ungraded: map[results.Status]int{},
	}
	for _, r := range results.Latest(data.Trials) {
		v.retried[r.Status]--
		if r.Status != results.Graded {
			v.ungraded[r.Status]++
		}
		if r.Status.Scored() {
			v.overheads = append(v.overheads, r.OverheadSeconds)
		}
		switch r.Agent {
		case "oracle":
			v.oracle = append(v.oracle, misses(r, 1)...)
		case "nop":
			want := 0.0
			if r.Twin { // Silence is right where there is no fault.
				want = 1
			}
			v.nop = append(v.nop, misses(r, want)...)
		}
	}
	scores := map[string]*float64{}
	for _, a := range summary.Agents {
		scores[a.Agent] = a.Score
		missing := fmt.Sprintf("%d of %d trials have a record", a.Finished, a.Planned)
		if a.Finished < a.Planned && a.Agent == "oracle" {
			v.oracle = append(v.oracle, missing)
		}
		if a.Finished < a.Planned && a.Agent == "nop" {
			v.nop = append(v.nop, missing)
		}
	}
	low, middle, high := scores["nop"], scores["playbook"], scores["oracle"]
	if middle != nil {
		v.playbook = *middle
		v.between = low != nil && high != nil && *low < *middle && *middle < *high
	}
	return v
}

// misses lists the tasks of a trial that do not have the score that they must have. A twin has no task but detection.
func misses(r results.TrialRecord, want float64) []string {
	problem := r.Problem
	if r.Twin {
		problem += " (twin)"
	}
	if r.Status != results.Graded {
		return []string{fmt.Sprintf("%s: %s", problem, r.Status)}
	}
	var out []string
	for _, task := range r.Tasks {
		if r.Twin && task != "detection" {
			continue
		}
		if score, ok := r.Score(task); !ok {
			out = append(out, fmt.Sprintf("%s: no score for %s", problem, task))
		} else if score.Value != want {
			out = append(out, fmt.Sprintf("%s: %s %.4g", problem, task, score.Value))
		}
	}
	return out
}

// tries counts records by status, those of retries too.
func tries(records []results.TrialRecord) map[results.Status]int {
	out := map[results.Status]int{}
	for _, r := range records {
		out[r.Status]++
	}
	return out
}

// counts is "graded 34, infra_error 2", or "none".
func counts(statuses map[results.Status]int) string {
	var out []string
	for _, s := range results.Statuses() {
		if statuses[s] > 0 {
			out = append(out, fmt.Sprintf("%s %d", s, statuses[s]))
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// answer is "yes", or "no: ..." with what is wrong.
func answer(wrong []string) string {
	if len(wrong) == 0 {
		return "yes"
	}
	return "no: " + strings.Join(slices.Sorted(slices.Values(wrong)), ", ")
}
