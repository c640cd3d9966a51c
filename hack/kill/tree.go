package main

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

// tree remembers every process and every port that a run ever had.
type tree struct {
	root string // of all directories of the run
	base string // of its clusters
	end  chan struct{}
	over sync.WaitGroup

	mu        sync.Mutex
	processes map[int]string // start time by process id: together they are unique
	names     map[int]string
	ports     map[int]bool
}

// watch looks at the tree below pid until stop.
func watch(pid int, root, base string) *tree {
	t := &tree{root: root, base: base, end: make(chan struct{}), processes: map[int]string{}, names: map[int]string{}, ports: map[int]bool{}}
	t.over.Go(func() {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			t.look(pid)
			select {
			case <-t.end:
				return
			case <-tick.C:
			}
		}
	})
	return t
}

func (t *tree) stop() {
	close(t.end)
	t.over.Wait()
}

func (t *tree) look(pid int) {
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
	files, _ := filepath.Glob(filepath.Join(t.base, "gameday", "*", "cluster.json"))
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

// remains is what is left of a run.
type remains struct{ processes, sockets, files, ports []string }

func (r remains) count() int {
	return len(r.processes) + len(r.sockets) + len(r.files) + len(r.ports)
}

func (r remains) String() string {
	var all []string
	for _, list := range [][]string{r.processes, r.sockets, r.files, r.ports} {
		all = append(all, list...)
	}
	return strings.Join(all, ", ")
}

// cells is "0, 0, 0, 0".
func (r remains) cells() string {
	return fmt.Sprintf("%d, %d, %d, %d", len(r.processes), len(r.sockets), len(r.files), len(r.ports))
}

// patience is how long the kernel and the janitors may take on a machine that is busy.
const patience = 15 * time.Second

// left waits until nothing is left, and returns what is there when its patience ends.
func (t *tree) left() remains {
	deadline := time.Now().Add(patience)
	for {
		found := t.find()
		if found.count() == 0 || time.Now().After(deadline) {
			return found
		}
		time.Sleep(lookEvery)
	}
}

func (t *tree) find() remains {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out remains
	for pid, started := range t.processes {
		if startTime(pid) == started {
			out.processes = append(out.processes, fmt.Sprintf("process %d (%s)", pid, t.names[pid]))
		}
	}
	table, _ := proctree.Table()
	for _, p := range table {
		// One that was never seen below gameday, but says itself where it belongs.
		if _, seen := t.processes[p.PID]; !seen && p.PID != os.Getpid() && t.mentions(p.PID) {
			out.processes = append(out.processes, fmt.Sprintf("process %d (%s)", p.PID, p.Name))
		}
	}
	if data, err := os.ReadFile("/proc/net/unix"); err == nil {
		for _, line := range strings.Split(string(data), "\n") {
			if at := strings.Index(line, t.root); at >= 0 {
				out.sockets = append(out.sockets, "socket "+line[at:])
			}
		}
	}
	for _, dir := range []string{filepath.Join(t.base, "gameday"), filepath.Join(filepath.Dir(t.base), "t")} {
		_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && path != dir {
				out.files = append(out.files, path)
			}
			return nil
		})
	}
	for port := range t.ports {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp4", address); err == nil {
			_ = c.Close()
			out.ports = append(out.ports, "port "+address)
		}
	}
	return out
}

// mentions reports whether a process was started in, or told about, the runtime directories.
func (t *tree) mentions(pid int) bool {
	cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	for _, dir := range []string{t.base, filepath.Join(t.root, "t")} {
		if strings.HasPrefix(cwd, dir) || bytes.Contains(line, []byte(dir)) || bytes.Contains(environ, []byte(dir)) {
			return startTime(pid) != ""
		}
	}
	return false
}

// member returns the id of the process of the tree whose command line holds all words, or 0.
func (t *tree) member(pid int, words ...string) int {
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
