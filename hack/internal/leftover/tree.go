// Package leftover finds what a run of gameday has left: processes, sockets, files and ports.
package leftover

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gameday-bench/gameday/internal/proctree"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// lookEvery is how often the process tree is looked at.
const lookEvery = 100 * time.Millisecond

// Home is the directory of everything that a run keeps for the time that it runs: clusters and other temporary directories.
// It is short and ours alone: unix sockets are below it, and what is left in it or names it belongs to a run.
type Home string

// base is where clusters are, temporary is where all other temporary directories are.
func (h Home) base() string      { return filepath.Join(string(h), "r") }
func (h Home) temporary() string { return filepath.Join(string(h), "t") }

// Environ is the environment of a gameday whose home this is. It makes the directories.
func (h Home) Environ() ([]string, error) {
	for _, dir := range []string{h.base(), h.temporary()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make directory of runs: %w", err)
		}
	}
	return append(os.Environ(), "XDG_RUNTIME_DIR="+h.base(), "TMPDIR="+h.temporary()), nil
}

// Left waits until nothing is left, like a Tree's. It has not seen the run: of its processes it finds those that name its home.
func (h Home) Left() Remains { return newTree(h).Left() }

// Tree remembers every process and every port that a run ever had.
type Tree struct {
	home Home
	end  chan struct{}
	over sync.WaitGroup

	mu        sync.Mutex
	processes map[int]string // start time by process id: together they are unique
	names     map[int]string
	ports     map[int]bool
}

func newTree(home Home) *Tree {
	return &Tree{home: home, end: make(chan struct{}), processes: map[int]string{}, names: map[int]string{}, ports: map[int]bool{}}
}

// Watch looks at the tree below pid until Stop.
func Watch(pid int, home Home) *Tree {
	t := newTree(home)
	t.over.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			t.Look(pid)
			select {
			case <-t.end:
				return
			case <-tick.C:
			}
		}
	})
	return t
}

// Stop ends the watch.
func (t *Tree) Stop() {
	close(t.end)
	t.over.Wait()
}

// Look looks once more, now.
func (t *Tree) Look(pid int) {
	table, err := proctree.Table()
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range proctree.Descendants(table, pid) {
		if started := startTime(p.PID); started != "" {
			t.processes[p.PID], t.names[p.PID] = started, p.Name
		}
	}
	files, _ := filepath.Glob(filepath.Join(t.home.base(), "gameday", "*", "cluster.json"))
	for _, file := range files {
		var c spec.Cluster
		if data, err := os.ReadFile(file); err != nil || json.Unmarshal(data, &c) != nil {
			continue
		}
		for _, port := range []int{c.Ports.APIServer, c.Ports.EtcdClient, c.Ports.EtcdPeer, c.Ports.Webhook} {
			t.ports[port] = true
		}
		for _, n := range c.Nodes {
			t.ports[n.KubeletPort] = true
		}
	}
}

// startTime is field 22 of /proc/PID/stat, or "" for a process that has ended, also while nobody has reaped it.
func startTime(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}

// Remains is what is left of a run.
type Remains struct{ Processes, Sockets, Files, Ports []string }

// Count is how many there are.
func (r Remains) Count() int {
	return len(r.Processes) + len(r.Sockets) + len(r.Files) + len(r.Ports)
}

func (r Remains) String() string {
	var all []string
	for _, list := range [][]string{r.Processes, r.Sockets, r.Files, r.Ports} {
		all = append(all, list...)
	}
	return strings.Join(all, ", ")
}

// Cells is "0, 0, 0, 0".
func (r Remains) Cells() string {
	return fmt.Sprintf("%d, %d, %d, %d", len(r.Processes), len(r.Sockets), len(r.Files), len(r.Ports))
}

// patience is how long the kernel and the janitors may take on a machine that is busy.
const patience = 15 * time.Second

// Left waits until nothing is left, and returns what is there when its patience ends.
func (t *Tree) Left() Remains {
	deadline := time.Now().Add(patience)
	for {
		found := t.Find()
		if found.Count() == 0 || time.Now().After(deadline) {
			return found
		}
		time.Sleep(lookEvery)
	}
}

// Find says what is there now.
func (t *Tree) Find() Remains {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out Remains
	for pid, started := range t.processes {
		if startTime(pid) == started {
			out.Processes = append(out.Processes, fmt.Sprintf("process %d (%s)", pid, t.names[pid]))
		}
	}
	table, _ := proctree.Table()
	for _, p := range table {
		// One that was never seen below gameday, but says itself where it belongs.
		if _, seen := t.processes[p.PID]; !seen && p.PID != os.Getpid() && t.mentions(p.PID) {
			out.Processes = append(out.Processes, fmt.Sprintf("process %d (%s)", p.PID, p.Name))
		}
	}
	if data, err := os.ReadFile("/proc/net/unix"); err == nil {
		for _, line := range strings.Split(string(data), "\n") {
			if at := strings.Index(line, string(t.home)); at >= 0 {
				out.Sockets = append(out.Sockets, "socket "+line[at:])
			}
		}
	}
	for _, dir := range []string{filepath.Join(t.home.base(), "gameday"), t.home.temporary()} {
		_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && path != dir && !stays(path) {
				out.Files = append(out.Files, path)
			}
			return nil
		})
	}
	for port := range t.ports {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp4", address); err == nil {
			_ = c.Close()
			out.Ports = append(out.Ports, "port "+address)
		}
	}
	return out
}

// stays is true for the locks of container engines' networks, which clusters of one user share and nobody removes: somebody else may wait for
// them.
func stays(path string) bool {
	return filepath.Base(filepath.Dir(path)) == "gameday" && strings.HasSuffix(path, "-network.lock")
}

// mentions reports whether a process was started in, or told about, the runtime directories.
func (t *Tree) mentions(pid int) bool {
	cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	for _, dir := range []string{t.home.base(), t.home.temporary()} {
		if strings.HasPrefix(cwd, dir) || bytes.Contains(line, []byte(dir)) || bytes.Contains(environ, []byte(dir)) {
			return startTime(pid) != ""
		}
	}
	return false
}

// Member returns the id of the process of the tree whose command line holds all words, or 0.
func (t *Tree) Member(pid int, words ...string) int {
	table, err := proctree.Table()
	if err != nil {
		return 0
	}
	for _, p := range proctree.Descendants(table, pid) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID))
		if err != nil || startTime(p.PID) == "" {
			continue
		}
		args, all := strings.Split(string(line), "\x00"), true
		for _, word := range words {
			found := false
			for _, arg := range args {
				found = found || arg == word
			}
			all = all && found
		}
		if all {
			return p.PID
		}
	}
	return 0
}
