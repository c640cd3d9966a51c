package scaleout

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

// planVersion is the version of Plan. It changes when a worker has to.
const planVersion = 1

// Plan is what the workers of a Job are to play. It is an object of the store.
type Plan struct {
	SchemaVersion int `json:"schemaVersion"`
	// Run is the run's own description: it fixes everything about the trials but which one.
	Run results.Run `json:"run"`
	// Tasks are the trials, by completion index.
	Tasks []Task `json:"tasks"`
	// Packs are the keys of the private packs, in the order of --catalog.
	Packs []string `json:"packs,omitempty"`
}

// Task is the trial of one completion index.
type Task struct {
	results.Key
	Seed int64 `json:"seed"`
	// Tries is how often the trial had failed for the harness's own reasons before this plan.
	Tries int `json:"tries,omitempty"`
}

func (t Task) trial() scenarios.Trial { return scenarios.Trial{Key: t.Key, Seed: t.Seed} }

// newPlan numbers the trials in the order of the run's plan: indexes begin in this order, so that an interrupted run has whole
// rounds, as a local one has.
func newPlan(run results.Run, trials []orchestrator.Assignment, packs int) Plan {
	p := Plan{SchemaVersion: planVersion, Run: run}
	for _, a := range trials {
		p.Tasks = append(p.Tasks, Task{Key: a.Key, Seed: a.Seed, Tries: a.Tries})
	}
	for i := range packs {
		p.Packs = append(p.Packs, packKey(i))
	}
	return p
}

// The keys of a session's objects.
const (
	planKey     = "plan.json"
	packsPrefix = "packs/"
	triesPrefix = "tries/"
	donePrefix  = "done/"
	trySuffix   = ".tar.gz"
)

func packKey(i int) string { return fmt.Sprintf("%s%d%s", packsPrefix, i, trySuffix) }

// doneKey marks an index whose trial has its final record in the run already, for a store that does not have the tries.
func doneKey(index int) string { return donePrefix + strconv.Itoa(index) }

// indexPrefix is what the keys of all tries of an index begin with.
func indexPrefix(index int) string { return fmt.Sprintf("%s%d/", triesPrefix, index) }

// try is one try as its key tells it.
type try struct {
	index, number int
	status        results.Status
	pod           string
}

// key is tries/INDEX/NUMBER-STATUS-POD.tar.gz. The pod makes it unique: two pods of an index can be alive when a node is cut off.
func (t try) key() string {
	return fmt.Sprintf("%s%d-%s-%s%s", indexPrefix(t.index), t.number, t.status, t.pod, trySuffix)
}

// parseTry is the reverse of key.
func parseTry(key string) (try, error) {
	fail := func() (try, error) {
		return try{}, fmt.Errorf("parse try %q: want tries/INDEX/NUMBER-STATUS-POD.tar.gz", key)
	}
	rest, ok := strings.CutPrefix(key, triesPrefix)
	rest, packed := strings.CutSuffix(rest, trySuffix)
	index, name, split := strings.Cut(rest, "/")
	parts := strings.SplitN(name, "-", 3)
	if !ok || !packed || !split || len(parts) != 3 {
		return fail()
	}
	t := try{status: results.Status(parts[1]), pod: parts[2]}
	var indexErr, numberErr error
	t.index, indexErr = strconv.Atoi(index)
	t.number, numberErr = strconv.Atoi(parts[0])
	if indexErr != nil || numberErr != nil || t.index < 0 || !t.status.Valid() {
		return fail()
	}
	return t, nil
}

// ledger is how far one trial has got.
type ledger struct {
	// failed is how often it has failed for the harness's own reasons.
	failed int
	last   results.Status
}

func (l *ledger) add(status results.Status) {
	l.last = status
	if status.Retryable() {
		l.failed++
	}
}

// final reports whether the last try is the trial's result: it was not cut short, and failures of ours are used up.
func (l *ledger) final(infraRetries int) bool {
	switch {
	case l.last == "", l.last == results.Cancelled:
		return false
	case l.last.Retryable():
		return l.failed > infraRetries
	}
	return true
}

// parseIndexes reads completion indexes as the status of a Job has them: 1,3-5,7.
func parseIndexes(text string) ([]int, error) {
	var out []int
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		from, to, span := strings.Cut(part, "-")
		if !span {
			to = from
		}
		first, err := strconv.Atoi(from)
		last, lastErr := strconv.Atoi(to)
		if err != nil || lastErr != nil || first < 0 || last < first || last-first > maxTrials {
			return nil, fmt.Errorf("parse completion indexes %q: want numbers and spans such as 1,3-5", text)
		}
		for i := first; i <= last; i++ {
			out = append(out, i)
		}
	}
	return out, nil
}
