package results

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const scoresDir = "scores"

// AddScoreSet stores the records of a run that was graded again beside the run's own, in scores/<n> with n from 1, and
// returns that directory. Nothing of the run is changed.
func AddScoreSet(dir string, records []TrialRecord, summary *Summary) (string, error) {
	if err := os.MkdirAll(filepath.Join(dir, scoresDir), 0o755); err != nil {
		return "", unwritable(dir, err)
	}
	for n := 1; ; n++ {
		set := filepath.Join(dir, scoresDir, fmt.Sprint(n))
		err := os.Mkdir(set, 0o755)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return "", unwritable(dir, err)
		}
		return set, errors.Join(writeTrials(set, records), WriteSummary(set, summary))
	}
}

// ReplaceScores puts new records in the place of a finished run's own. A run that another process writes is an error of
// party usage.
func ReplaceScores(dir string, records []TrialRecord, summary *Summary) error {
	if locked(dir) {
		return errors.New("replace scores: another process is writing the run")
	}
	for _, r := range records {
		trial := filepath.Join(dir, filepath.FromSlash(r.Dir))
		if err := errors.Join(
			writeJSON(filepath.Join(trial, ScoreFile), ScoreSet{SchemaVersion, r.GraderVersion, r.Status, r.Scores}),
			writeJSON(filepath.Join(trial, TrialFile), r),
		); err != nil {
			return err
		}
	}
	return errors.Join(writeTrials(dir, records), WriteSummary(dir, summary))
}

func writeTrials(dir string, records []TrialRecord) error {
	var all bytes.Buffer
	for _, r := range records {
		data, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode trial %s: %w", r.Key, err)
		}
		all.Write(append(data, '\n'))
	}
	return writeFile(filepath.Join(dir, TrialsFile), all.Bytes())
}
