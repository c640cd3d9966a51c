package kind

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/version"
)

// machine is what an engine says about itself and the machine that it runs on. Zero values are what it does not tell.
type machine struct {
	version string
	// cgroup1 is true where control groups are of version 1; rootless where the engine runs as an ordinary user.
	cgroup1, rootless bool
	// memory is in bytes; root is the directory of its images and volumes.
	memory uint64
	root   string
	// local is true for an engine on this machine: then /proc and the file systems are the ones that count.
	local bool
}

// machine asks the engine about itself. It is the first thing that an engine without rights, or one that does not run, fails at.
func (e engine) machine(ctx context.Context) (machine, error) {
	var m machine
	var err error
	if e.name == podman {
		m, err = e.podmanMachine(ctx)
	} else {
		m, err = e.dockerMachine(ctx)
	}
	m.local = e.local()
	return m, err
}

// local is true unless the environment names another machine.
func (e engine) local() bool {
	variable := map[string]string{docker: "DOCKER_HOST", podman: "CONTAINER_HOST", nerdctl: "CONTAINERD_ADDRESS"}[e.name]
	host := os.Getenv(variable)
	return !strings.Contains(host, "://") || strings.HasPrefix(host, "unix://")
}

// dockerMachine reads what docker info and nerdctl info say alike.
func (e engine) dockerMachine(ctx context.Context) (machine, error) {
	out, err := e.run(ctx, "info", "--format", "{{json .}}")
	var said struct {
		ServerVersion   string
		CgroupVersion   string
		MemTotal        int64
		DockerRootDir   string
		SecurityOptions []string
		ServerErrors    []string
	}
	// Without a server, docker prints what its client knows, and the error among it; older ones call that success.
	decoded := json.Unmarshal([]byte(out), &said)
	if decoded == nil && len(said.ServerErrors) > 0 {
		complaint := lastLines(strings.Join(said.ServerErrors, "\n"), 3)
		return machine{}, &runError{engine: e.name, verb: "info", err: errors.New("the daemon does not answer"), complaint: complaint}
	}
	if err != nil {
		return machine{}, err
	}
	if decoded != nil {
		return machine{}, fmt.Errorf("read what %s info says: %w", e.name, decoded)
	}
	m := machine{version: said.ServerVersion, cgroup1: said.CgroupVersion == "1", memory: uint64(max(said.MemTotal, 0)), root: said.DockerRootDir}
	for _, option := range said.SecurityOptions { // Like name=seccomp,profile=default.
		for word := range strings.SplitSeq(option, ",") {
			m.rootless = m.rootless || word == "name=rootless"
		}
	}
	if e.name == nerdctl { // Its server is containerd, of which any version will do.
		m.version, err = e.clientVersion(ctx)
	}
	return m, err
}

func (e engine) podmanMachine(ctx context.Context) (machine, error) {
	out, err := e.run(ctx, "info", "--format", "json")
	if err != nil {
		return machine{}, err
	}
	var said struct {
		Host struct {
			CgroupVersion string `json:"cgroupVersion"`
			MemTotal      int64  `json:"memTotal"`
			Security      struct {
				Rootless bool `json:"rootless"`
			} `json:"security"`
		} `json:"host"`
		Store struct {
			GraphRoot string `json:"graphRoot"`
		} `json:"store"`
	}
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		return machine{}, fmt.Errorf("read what podman info says: %w", err)
	}
	m := machine{
		cgroup1: said.Host.CgroupVersion == "v1", rootless: said.Host.Security.Rootless, memory: uint64(max(said.Host.MemTotal, 0)), root: said.Store.GraphRoot,
	}
	m.version, err = e.clientVersion(ctx)
	return m, err
}

// clientVersion is the last word of a line like "podman version 4.3.1".
func (e engine) clientVersion(ctx context.Context) (string, error) {
	out, err := e.run(ctx, "--version")
	if err != nil {
		return "", err
	}
	words := strings.Fields(out)
	if len(words) == 0 {
		return "", nil
	}
	return words[len(words)-1], nil
}

// oldest is the oldest version of each engine that gives nodes a control group namespace of their own, and can be asked what kind asks.
func oldest() map[string]string {
	return map[string]string{docker: "20.10", podman: "4.0", nerdctl: "1.7"}
}

// tooOld is true for a version that is known to be too old.
func (e engine) tooOld(have string) bool {
	v, err := version.ParseGeneric(have)
	return err == nil && v.LessThan(version.MustParseGeneric(oldest()[e.name]))
}

// available is how much memory new processes can have, in bytes, 0 where that is not known.
func (m machine) available() uint64 {
	if !m.local {
		return m.memory
	}
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return m.memory
	}
	defer f.Close()
	for all := bufio.NewScanner(f); all.Scan(); {
		if words := strings.Fields(all.Text()); len(words) >= 2 && words[0] == "MemAvailable:" {
			if kib, err := strconv.ParseUint(words[1], 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	return m.memory
}

// free is how much room there is for images and volumes, in bytes. It is false where that is not known: the engine may be on another
// machine, or in a virtual one.
func (m machine) free() (uint64, bool) {
	var fs unix.Statfs_t
	if !m.local || m.root == "" || unix.Statfs(m.root, &fs) != nil {
		return 0, false
	}
	return fs.Bavail * uint64(fs.Bsize), true
}
