// Package record says which clusters this user has, and whose they are. Each has a directory with a file that identifies the
// process that owns it; internal/scratch removes the directory when that process ends in whatever way.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/scratch"
)

// What Info.Status can be.
const (
	// Running is the status of a cluster whose owner is alive.
	Running = "running"
	// Stale is that of a cluster whose owner is gone: what is left of it can be removed.
	Stale = "stale"
)

// Embedded is the kind of clusters that a record says nothing else of.
const Embedded = "embedded"

// Info describes a cluster of this user.
type Info struct {
	Name string `json:"name"`
	// Kind is the kind of cluster: embedded or kind. Engine is the container engine that its nodes are in; empty where they are in none.
	Kind   string `json:"kind"`
	Engine string `json:"engine,omitempty"`
	Status string `json:"status"`
	// Kubeconfig and Dir are empty for what is left of a cluster without a directory.
	Kubeconfig string    `json:"kubeconfig"`
	Owner      int       `json:"owner"` // process id of the parent
	Created    time.Time `json:"created"`
	Dir        string    `json:"dir"`
	// Supervised is false for the cluster of a run, which ends with its run.
	Supervised bool `json:"supervised"`
}

// Claim is what a process says of a cluster that it makes.
type Claim struct {
	// Kind and Engine are those of Info; an empty Kind is Embedded.
	Kind   string `json:"kind,omitempty"`
	Engine string `json:"engine,omitempty"`
	// Supervised is true for a cluster that was created to be kept, false for one that belongs to a run.
	Supervised bool `json:"supervised"`
}

// owner identifies the parent process beyond the reuse of its process id.
type owner struct {
	PID     int       `json:"pid"`
	Start   uint64    `json:"start"` // field 22 of /proc/PID/stat, clock ticks since boot
	Created time.Time `json:"created"`
	Claim
}

const ownerFile = "owner.json"

// BaseDir is where the directories of this user's clusters are: short, because unix sockets are in them.
func BaseDir() string {
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "gameday")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("gameday-%d", os.Getuid()))
}

// Kubeconfig is where the kubeconfig of the cluster in dir is.
func Kubeconfig(dir string) string { return filepath.Join(dir, "kubeconfig", "admin") }

// Make makes the directory of the cluster called name, with mode 0700. A name that is taken is an error of party usage that is
// os.ErrExist.
func Make(name string) (*scratch.Dir, error) {
	if err := os.MkdirAll(BaseDir(), 0o700); err != nil {
		return nil, fmt.Errorf("make directory for clusters: %w", err)
	}
	made, err := scratch.Make(filepath.Join(BaseDir(), name))
	if errors.Is(err, os.ErrExist) {
		return nil, Taken(name, errs.Usage)
	}
	if err != nil {
		return nil, fmt.Errorf("make directory of the cluster: %w", err)
	}
	return made, nil
}

// takenError is os.ErrExist for a cluster.
type takenError struct{ name string }

func (e *takenError) Error() string        { return fmt.Sprintf("make cluster %q: the name is taken", e.name) }
func (e *takenError) Is(target error) bool { return target == os.ErrExist }

// Taken is the error for a name that a cluster has already, with what to do. It is os.ErrExist.
func Taken(name string, party errs.Party) error {
	return errs.Hint(errs.With(party, &takenError{name}), "choose another name, or run: gameday delete cluster %s", name)
}

// Own writes into the directory of a cluster that it is this process's.
func Own(dir string, c Claim) error {
	start, err := startTime(os.Getpid())
	if err != nil {
		return err
	}
	return owner{PID: os.Getpid(), Start: start, Created: time.Now().UTC(), Claim: c}.write(dir)
}

func (o owner) write(dir string) error {
	data, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode owner of cluster: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, ownerFile), data, 0o600); err != nil {
		return fmt.Errorf("write owner of cluster: %w", err)
	}
	return nil
}

func readOwner(dir string) (owner, error) {
	data, err := os.ReadFile(filepath.Join(dir, ownerFile))
	if err != nil {
		return owner{}, fmt.Errorf("read owner of cluster: %w", err)
	}
	var o owner
	if err := json.Unmarshal(data, &o); err != nil {
		return owner{}, fmt.Errorf("decode owner of cluster: %w", err)
	}
	return o, nil
}

// alive is true while the owner's process runs.
func (o owner) alive() bool {
	start, err := startTime(o.PID)
	return err == nil && start == o.Start
}

func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read process %d: %w", pid, err)
	}
	// The command in field 2 may hold spaces and parentheses: count from the last one.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("read process %d: %d fields in stat", pid, len(fields))
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// List returns the clusters of this user that have a directory, sorted by name. A directory without an owner is stale. The error is
// of party infra.
func List() ([]Info, error) {
	entries, err := os.ReadDir(BaseDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errs.With(errs.Infra, fmt.Errorf("list clusters: %w", err))
	}
	var out []Info
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue // A file of locks and the like is no cluster.
		}
		dir := filepath.Join(BaseDir(), e.Name())
		info := Info{Name: e.Name(), Kind: Embedded, Status: Stale, Dir: dir, Kubeconfig: Kubeconfig(dir)}
		if o, err := readOwner(dir); err == nil {
			info.Owner, info.Created, info.Supervised, info.Engine = o.PID, o.Created, o.Supervised, o.Engine
			if o.Kind != "" {
				info.Kind = o.Kind
			}
			if o.alive() {
				info.Status = Running
			}
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Find returns the cluster called name. That there is none is an error of party usage.
func Find(name string) (Info, error) {
	all, err := List()
	if err != nil {
		return Info{}, err
	}
	if i := slices.IndexFunc(all, func(c Info) bool { return c.Name == name }); i >= 0 {
		return all[i], nil
	}
	return Info{}, errs.Newf(errs.Usage, "find cluster %q: no such cluster", name)
}
