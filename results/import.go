package results

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Import takes over the directory of a finished try that was played elsewhere, whole or not at all: it is moved to the first free
// directory of its trial, as OpenTrial counts them, and its record is appended to trials.jsonl. dir holds what the directory of a
// trial holds, trial.json among it, and is on the file system of the run; it is gone afterwards, unless there is an error. The
// record is returned as it is in the run. A try of another trial than key, and one without a valid record, are errors.
func (s *Store) Import(key Key, dir string) (TrialRecord, error) {
	var record TrialRecord
	if err := readJSON(filepath.Join(dir, TrialFile), &record); err != nil {
		return record, fmt.Errorf("import try of trial %s: %w", key, err)
	}
	switch {
	case record.Key != key:
		return record, fmt.Errorf("import try of trial %s: it is one of trial %s", key, record.Key)
	case record.SchemaVersion != SchemaVersion:
		return record, fmt.Errorf("import try of trial %s: schemaVersion is %d, want %d", key, record.SchemaVersion, SchemaVersion)
	case !record.Status.Valid():
		return record, fmt.Errorf("import try of trial %s: %q is not a status", key, record.Status)
	}
	for retry := 0; ; retry++ {
		record.Retry, record.Dir = retry, trialsDir+"/"+key.dir(retry)
		err := s.adopt(record, dir)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return record, unwritable(s.dir, err)
		}
		return record, s.Append(record)
	}
}

// adopt moves dir to the record's directory. The error is os.ErrExist when that is taken.
func (s *Store) adopt(record TrialRecord, dir string) error {
	target := filepath.Join(s.dir, filepath.FromSlash(record.Dir))
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	// A rename takes the place of an empty directory: that of a try which was killed before it wrote anything.
	if _, err := os.Lstat(target); err == nil {
		return os.ErrExist
	}
	if err := writeJSON(filepath.Join(dir, TrialFile), record); err != nil {
		return err
	}
	return os.Rename(dir, target)
}

// MarkPlacement writes where the try in dir was played, before Import takes it over.
func MarkPlacement(dir string, p Placement) error {
	p.SchemaVersion = SchemaVersion
	return writeJSON(filepath.Join(dir, PlacementFile), p)
}

// ReadPlacement reads what MarkPlacement wrote. The error is os.ErrNotExist for a try that was played by the run's own process.
func ReadPlacement(dir string) (Placement, error) {
	var p Placement
	err := readJSON(filepath.Join(dir, PlacementFile), &p)
	return p, err
}

// Placements returns where the tries of a run were played, by their directories relative to the run; tries of the run's own process
// are not in it.
func (d *Data) Placements() (map[string]Placement, error) {
	out := map[string]Placement{}
	for _, r := range d.Trials {
		p, err := ReadPlacement(filepath.Join(d.Dir, filepath.FromSlash(r.Dir)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[r.Dir] = p
	}
	return out, nil
}
