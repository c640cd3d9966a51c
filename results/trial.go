package results

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Names of the files in a trial directory.
const (
	TrialFile      = "trial.json"
	EventsFile     = "events.jsonl"
	TranscriptFile = "transcript.jsonl"
	SubmissionFile = "submission.json"
	EvidenceFile   = "evidence.json"
	ScoreFile      = "score.json"
	logsDir        = "logs"
)

// Trial is the open directory of one try of one trial. Methods are safe for concurrent use.
type Trial struct {
	store *Store
	key   Key
	retry int
	dir   string

	mu    sync.Mutex
	files map[string]*lines
	logs  []*boundedLog
}

// OpenTrial makes the directory for the next try of a trial: the first free one of <key>, <key>.r1, <key>.r2 and so on.
func (s *Store) OpenTrial(key Key) (*Trial, error) {
	for retry := 0; ; retry++ {
		dir := filepath.Join(s.dir, trialsDir, filepath.FromSlash(key.dir(retry)))
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			return nil, unwritable(s.dir, err)
		}
		err := os.Mkdir(dir, 0o755)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, unwritable(s.dir, err)
		}
		return &Trial{store: s, key: key, retry: retry, dir: dir, files: map[string]*lines{}}, nil
	}
}

// Dir is the trial's directory; RelDir is the same relative to the run, with slashes.
func (t *Trial) Dir() string { return t.dir }

// RelDir is trials/<key>[.rN].
func (t *Trial) RelDir() string { return trialsDir + "/" + t.key.dir(t.retry) }

// Retry is 0 for the first try.
func (t *Trial) Retry() int { return t.retry }

// AppendEvent adds one event to events.jsonl.
func (t *Trial) AppendEvent(event any) error { return t.append(EventsFile, event) }

// AppendTranscript adds one call to transcript.jsonl.
func (t *Trial) AppendTranscript(entry any) error { return t.append(TranscriptFile, entry) }

func (t *Trial) append(name string, v any) error {
	t.mu.Lock()
	file, ok := t.files[name]
	if !ok {
		var err error
		if file, err = openLines(filepath.Join(t.dir, name), false); err != nil {
			t.mu.Unlock()
			return err
		}
		t.files[name] = file
	}
	t.mu.Unlock()
	return file.append(v)
}

// Write writes v as JSON to a file of the trial, for example SubmissionFile or EvidenceFile.
func (t *Trial) Write(name string, v any) error { return writeJSON(filepath.Join(t.dir, name), v) }

// maxLog bounds each log of a trial; the marker at the end says how much was left out.
const maxLog = 8 << 20

// Log opens logs/<name> for writing. It is closed with the trial. Beyond 8 MiB output is counted and left out.
func (t *Trial) Log(name string) (io.Writer, error) {
	if err := os.MkdirAll(filepath.Join(t.dir, logsDir), 0o755); err != nil {
		return nil, fmt.Errorf("make log directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(t.dir, logsDir, filepath.Base(name)), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	log := &boundedLog{file: file, left: maxLog}
	t.mu.Lock()
	t.logs = append(t.logs, log)
	t.mu.Unlock()
	return log, nil
}

// LogDir is the directory for logs that others write.
func (t *Trial) LogDir() string { return filepath.Join(t.dir, logsDir) }

// Finish writes trial.json and score.json, then the line of trials.jsonl, and closes the trial's files. The key, the retry
// and the directory of the record are filled in.
func (t *Trial) Finish(record TrialRecord) error {
	record.SchemaVersion, record.Key, record.Retry, record.Dir = SchemaVersion, t.key, t.retry, t.RelDir()
	if record.Scores == nil {
		record.Scores = []Score{}
	}
	closeErr := t.Close()
	if err := t.Write(ScoreFile, ScoreSet{SchemaVersion, record.GraderVersion, record.Status, record.Scores}); err != nil {
		return errors.Join(closeErr, err)
	}
	if err := t.Write(TrialFile, record); err != nil {
		return errors.Join(closeErr, err)
	}
	return errors.Join(closeErr, t.store.Append(record))
}

// Close closes the trial's files. It is idempotent; what is appended later opens them again.
func (t *Trial) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []error
	for _, file := range t.files {
		all = append(all, file.close())
	}
	for _, log := range t.logs {
		all = append(all, log.close())
	}
	t.files, t.logs = map[string]*lines{}, nil
	return errors.Join(all...)
}

// ScoreSet is score.json.
type ScoreSet struct {
	SchemaVersion int     `json:"schemaVersion"`
	GraderVersion int     `json:"graderVersion"`
	Status        Status  `json:"status"`
	Scores        []Score `json:"scores"`
}

type boundedLog struct {
	mu      sync.Mutex
	file    *os.File
	left    int
	dropped int64
}

func (l *boundedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	keep := min(len(p), l.left)
	l.left -= keep
	l.dropped += int64(len(p) - keep)
	if keep > 0 {
		if _, err := l.file.Write(p[:keep]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (l *boundedLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped > 0 {
		if _, err := fmt.Fprintf(l.file, "\n[truncated: %d bytes left out]\n", l.dropped); err != nil {
			return errors.Join(err, l.file.Close())
		}
	}
	return l.file.Close()
}

// readTrials reads trials.jsonl, and adds the trials that were finished (trial.json is there) but killed before their line.
func readTrials(dir string) ([]TrialRecord, int, error) {
	type try struct {
		Key
		retry int
	}
	seen := map[try]bool{}
	var out []TrialRecord
	add := func(data []byte) error {
		var r TrialRecord
		if err := json.Unmarshal(data, &r); err != nil {
			return err
		}
		if !r.Status.Valid() {
			return fmt.Errorf("unknown status %q", r.Status)
		}
		if at := (try{r.Key, r.Retry}); !seen[at] {
			seen[at] = true
			out = append(out, r)
		}
		return nil
	}
	torn, err := readLines(filepath.Join(dir, TrialsFile), add)
	if err != nil {
		return nil, 0, err
	}
	files, err := filepath.Glob(filepath.Join(dir, trialsDir, "*", "*", "*", TrialFile))
	if err != nil {
		return nil, 0, err
	}
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			_ = add(data) // A file that cannot be read is of a trial that did not finish.
		}
	}
	slices.SortStableFunc(out, func(a, b TrialRecord) int { return cmp.Or(a.Key.Compare(b.Key), cmp.Compare(a.Retry, b.Retry)) })
	return out, torn, nil
}

// unfinished lists the directories of trials that have no record, sorted.
func unfinished(dir string, records []TrialRecord) ([]string, error) {
	known := map[string]bool{}
	for _, r := range records {
		known[r.Key.dir(r.Retry)] = true
	}
	found, err := filepath.Glob(filepath.Join(dir, trialsDir, "*", "*", "*"))
	var out []string
	for _, path := range found {
		rel, relErr := filepath.Rel(filepath.Join(dir, trialsDir), path)
		if relErr == nil && !known[filepath.ToSlash(rel)] {
			out = append(out, trialsDir+"/"+filepath.ToSlash(rel))
		}
	}
	slices.Sort(out)
	return out, err
}

// ReadTrialFile decodes one JSON file of a stored trial. A file that is not there leaves v as it is and returns an error
// that is os.ErrNotExist.
func ReadTrialFile(runDir string, record TrialRecord, name string, v any) error {
	return readJSON(filepath.Join(runDir, filepath.FromSlash(record.Dir), name), v)
}
