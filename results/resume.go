package results

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Pending is a trial that has no final record.
type Pending struct {
	Key
	// Tries is how often it has failed for the harness's reasons so far; tries that were cancelled or killed do not count.
	Tries int
}

// Pending returns which of the planned trials have no final record, in the order of the plan. A score is final, whatever it
// is; a failure of the harness is when all of its tries, 1 + infraRetries, are used up, or when it was given up. Trials whose last try
// has one of the statuses in again are pending, too, with all their tries.
func (d *Data) Pending(planned []Key, infraRetries int, again ...Status) []Pending {
	last, tries, givenUp := map[Key]Status{}, map[Key]int{}, map[Key]bool{}
	for _, r := range d.Trials { // Sorted by key and retry.
		last[r.Key], givenUp[r.Key] = r.Status, r.GivenUp
		if r.Status.Retryable() {
			tries[r.Key]++
		}
	}
	wanted := map[Status]bool{}
	for _, status := range again {
		wanted[status] = true
	}
	var out []Pending
	for _, key := range planned {
		status, tried := last[key]
		switch {
		case tried && wanted[status]:
			out = append(out, Pending{Key: key})
		case !tried || status == Cancelled || status.Retryable() && tries[key] <= infraRetries && !givenUp[key]:
			out = append(out, Pending{Key: key, Tries: tries[key]})
		}
	}
	return out
}

// Killed is a try that was under way when the process of its run ended.
type Killed struct {
	Key   Key
	Retry int
	// Phase is the trial phase that it was in, "" before the first. Began and Last are the times of its first and last event.
	Phase       string
	Began, Last time.Time
}

// Killed returns what the run was killed in, from the directories without a record.
func (d *Data) Killed() ([]Killed, error) {
	var out []Killed
	for _, rel := range d.Unfinished {
		k, err := killed(d.Dir, rel)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// retrySuffix is what a directory has beyond its key: see Key.dir.
var retrySuffix = regexp.MustCompile(`\.r([1-9][0-9]*)$`)

func killed(dir, rel string) (Killed, error) {
	name, k := strings.TrimPrefix(rel, trialsDir+"/"), Killed{}
	if at := retrySuffix.FindStringSubmatchIndex(name); at != nil {
		if _, err := fmt.Sscan(name[at[2]:at[3]], &k.Retry); err != nil {
			return k, fmt.Errorf("read retry of %s: %w", rel, err)
		}
		name = name[:at[0]]
	}
	var err error
	if k.Key, err = ParseKey(name); err != nil {
		return k, err
	}
	_, err = readLines(filepath.Join(dir, filepath.FromSlash(rel), EventsFile), func(line []byte) error {
		var e struct {
			Time  time.Time `json:"time"`
			Type  string    `json:"type"`
			Phase string    `json:"phase"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if k.Began.IsZero() {
			k.Began = e.Time
		}
		k.Last = e.Time
		if e.Type == "phase_started" {
			k.Phase = e.Phase
		}
		return nil
	})
	return k, err
}

// String is "trials/<key>[.rN] (in <phase>)".
func (k Killed) String() string {
	text := trialsDir + "/" + k.Key.dir(k.Retry)
	if k.Phase != "" {
		text += " (in " + k.Phase + ")"
	}
	return text
}

// RecordKilled gives a try that was killed its record: cancelled, and by whom. The caller fills in what the problem says.
func (s *Store) RecordKilled(k Killed, record TrialRecord) error {
	t := &Trial{
		store: s, key: k.Key, retry: k.Retry, dir: filepath.Join(s.dir, trialsDir, filepath.FromSlash(k.Key.dir(k.Retry))), files: map[string]*lines{},
	}
	record.Status, record.StartedAt, record.FinishedAt = Cancelled, k.Began, k.Last
	record.Error = &Failure{Party: "interrupted", Message: "the process of the run was killed", Phase: k.Phase}
	if err := t.sweep(); err != nil {
		return err
	}
	return t.Finish(record)
}

// sweep removes files that were being written when the process was killed: see writeFile.
func (t *Trial) sweep() error {
	for _, name := range []string{TrialFile, SubmissionFile, EvidenceFile, ScoreFile} {
		found, err := filepath.Glob(filepath.Join(t.dir, "."+name+".*"))
		if err != nil {
			return err
		}
		for _, file := range found {
			if err := os.Remove(file); err != nil {
				return fmt.Errorf("remove half-written file: %w", err)
			}
		}
	}
	return nil
}
