package results

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
)

// Names of the files in a run directory.
const (
	RunFile     = "run.json"
	TrialsFile  = "trials.jsonl"
	SummaryJSON = "summary.json"
	SummaryMD   = "summary.md"
	trialsDir   = "trials"
	lockFile    = ".lock"
)

// Store is an open run directory, owned by this process. Methods are safe for concurrent use.
type Store struct {
	dir    string
	lock   *os.File
	trials *lines

	mu  sync.Mutex
	run Run
}

var runIDPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// Create makes root/run.ID and writes run.json with status started. A directory that exists already is an error of party
// usage; a root that cannot be written is one of party infra.
func Create(root string, run Run) (*Store, error) {
	if !runIDPattern.MatchString(run.ID) {
		return nil, errs.Newf(errs.Usage, "create run: %q is not a run id: want letters, digits, dots, dashes and underscores", run.ID)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, unwritable(root, err)
	}
	dir := filepath.Join(root, run.ID)
	if err := os.Mkdir(dir, 0o755); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil, errs.Hint(errs.Newf(errs.Usage, "create run %s: it exists already", dir), "choose another --run-id")
		}
		return nil, unwritable(dir, err)
	}
	run.SchemaVersion, run.Status = SchemaVersion, RunStarted
	s, err := open(dir, run)
	if err != nil {
		return nil, err
	}
	if err := s.save(); err != nil {
		return nil, errors.Join(unwritable(dir, err), s.Close())
	}
	return s, nil
}

// Reopen takes over a run whose process has ended, to add to it from now on. A run that is still going is an error of party
// usage.
func Reopen(dir string, now time.Time) (*Store, error) {
	var run Run
	if err := readJSON(filepath.Join(dir, RunFile), &run); err != nil {
		return nil, errs.With(errs.Usage, err)
	}
	s, err := open(dir, run)
	if err != nil {
		return nil, err
	}
	s.run.Status, s.run.FinishedAt, s.run.Error = RunStarted, nil, nil
	s.run.ResumedAt = append(s.run.ResumedAt, now.UTC())
	if err := s.save(); err != nil {
		return nil, errors.Join(unwritable(dir, err), s.Close())
	}
	return s, nil
}

func open(dir string, run Run) (*Store, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, unwritable(dir, err)
	}
	// The kernel drops the lock when the process ends in whatever way: a run that says started without it was interrupted.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(errs.Newf(errs.Usage, "open run %s: another process is writing it", dir), lock.Close())
	}
	trials, err := openLines(filepath.Join(dir, TrialsFile), true)
	if err != nil {
		return nil, errors.Join(unwritable(dir, err), lock.Close())
	}
	return &Store{dir: dir, lock: lock, trials: trials, run: run}, nil
}

// unwritable blames what cannot be written on the machine, once, and says what to do.
func unwritable(dir string, err error) error {
	if errs.PartyOf(err) != "" {
		return err
	}
	hint := "choose another directory with --out"
	if errors.Is(err, syscall.ENOSPC) {
		hint = "the disk is full: free some space, or choose another directory with --out"
	}
	return errs.Hint(errs.With(errs.Infra, fmt.Errorf("write run directory %s: %w", dir, err)), "%s", hint)
}

// Dir is the run directory.
func (s *Store) Dir() string { return s.dir }

// Run returns what run.json says.
func (s *Store) Run() Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run
}

// Update changes run.json.
func (s *Store) Update(change func(*Run)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.run)
	return s.save()
}

func (s *Store) save() error { return writeJSON(filepath.Join(s.dir, RunFile), s.run) }

// Append adds the record of a finished trial to trials.jsonl and returns when it is on the disk.
func (s *Store) Append(record TrialRecord) error {
	record.SchemaVersion = SchemaVersion
	if !record.Status.Valid() {
		return fmt.Errorf("append trial %s: %q is not a status", record.Key, record.Status)
	}
	return s.trials.append(record)
}

// Finish writes the final status, summary.json and summary.md. err is why the run failed or was cancelled; nil is a run that
// went to its end, whatever the scores are.
func (s *Store) Finish(now time.Time, runErr error) (*Summary, error) {
	status := RunFinished
	switch {
	case errs.PartyOf(runErr) == errs.Interrupted:
		status = RunCancelled
	case runErr != nil:
		status = RunFailed
	}
	end := now.UTC()
	if err := s.Update(func(r *Run) {
		r.Status, r.FinishedAt, r.Error = status, &end, FailureOf(runErr, "")
	}); err != nil {
		return nil, err
	}
	data, err := Load(s.dir)
	if err != nil {
		return nil, err
	}
	summary := Summarize(data.Run, data.Trials)
	err = WriteSummary(s.dir, summary)
	summary.Dir = s.dir // Not in the file: a run directory can be moved.
	return summary, err
}

// Close lets go of the run directory. It does not change the run's status. It is idempotent.
func (s *Store) Close() error {
	err := s.trials.close()
	if lockErr := s.lock.Close(); lockErr != nil && !errors.Is(lockErr, os.ErrClosed) {
		err = errors.Join(err, lockErr)
	}
	return err
}

// WriteSummary writes summary.json and summary.md into dir.
func WriteSummary(dir string, summary *Summary) error {
	return errors.Join(
		writeJSON(filepath.Join(dir, SummaryJSON), summary),
		writeFile(filepath.Join(dir, SummaryMD), []byte(summary.Markdown())),
	)
}

// Data is a run as it was found on the disk.
type Data struct {
	Dir string
	Run Run
	// Trials holds every record, retries too, sorted by key and retry.
	Trials []TrialRecord
	// Unfinished are the directories, relative to the run, of trials that were started and have no record: those under way,
	// or, when the run was interrupted, those that it was killed in.
	Unfinished []string
	// Torn is the number of lines of trials.jsonl that were cut off; their trials were recovered from trial.json if they
	// had got that far.
	Torn int
}

// Load reads a run directory, whoever wrote it and however that ended. The error is of party usage.
func Load(dir string) (*Data, error) {
	d := &Data{Dir: dir}
	if err := readJSON(filepath.Join(dir, RunFile), &d.Run); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, errs.Newf(errs.Usage, "read run %s: there is no %s in it", dir, RunFile)
		}
		return nil, errs.With(errs.Usage, err)
	}
	if d.Run.SchemaVersion != SchemaVersion {
		return nil, errs.Newf(errs.Usage, "read run %s: schemaVersion is %d, want %d", dir, d.Run.SchemaVersion, SchemaVersion)
	}
	if d.Run.Status == RunStarted && !locked(dir) {
		d.Run.Status = RunInterrupted
		d.Run.Error = &Failure{
			Party: string(errs.Interrupted), Message: "the process of the run ended without a word: it was killed, or the machine went down",
			Hint: "finished trials are intact; continue with: gameday resume " + d.Run.ID,
		}
	}
	trials, torn, err := readTrials(dir)
	if err != nil {
		return nil, errs.With(errs.Usage, err)
	}
	d.Trials, d.Torn = trials, torn
	d.Unfinished, err = unfinished(dir, trials)
	return d, errs.With(errs.Usage, err)
}

// locked reports whether a process holds the run.
func locked(dir string) bool {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// List returns the runs below root, oldest first. Directories that are not runs are left out. A root that does not exist
// has none.
func List(root string) ([]*Data, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list runs in %s: %w", root, err)
	}
	var out []*Data
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		if d, err := Load(filepath.Join(root, entry.Name())); err == nil {
			out = append(out, d)
		}
	}
	slices.SortStableFunc(out, func(a, b *Data) int { return a.Run.StartedAt.Compare(b.Run.StartedAt) })
	return out, nil
}
