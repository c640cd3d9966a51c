package embedded

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gameday-bench/gameday/internal/errs"
)

// ClusterBinary is the executable of the control plane and the nodes.
const ClusterBinary = "gameday-cluster"

// programBinaries hold the programs that run in containers, and say which images they offer.
func programBinaries() []string { return []string{"gameday-dns", "gameday-pod", "gameday-prometheus"} }

// companionBinaries are started by a program binary beside them.
func companionBinaries() []string { return []string{"gameday-mysql"} }

// Binaries are the executables that an embedded cluster is made of.
type Binaries struct {
	Cluster  string
	Programs []string
}

// FindBinaries looks for each executable in $GAMEDAY_BIN_DIR, beside the running executable, in bin/ of the source tree
// that the working directory is in (so that go test needs no setting), and in PATH.
func FindBinaries() (Binaries, error) {
	clusterPath, err := find(ClusterBinary)
	if err != nil {
		return Binaries{}, err
	}
	for _, name := range companionBinaries() {
		if _, err := find(name); err != nil {
			return Binaries{}, err
		}
	}
	b := Binaries{Cluster: clusterPath}
	for _, name := range programBinaries() {
		path, err := find(name)
		if err != nil {
			return Binaries{}, err
		}
		b.Programs = append(b.Programs, path)
	}
	return b, nil
}

func find(name string) (string, error) {
	dirs := []string{os.Getenv("GAMEDAY_BIN_DIR")}
	if self, err := os.Executable(); err == nil {
		if target, err := filepath.EvalSymlinks(self); err == nil {
			self = target
		}
		dirs = append(dirs, filepath.Dir(self))
	}
	dirs = append(dirs, sourceBin())
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return filepath.Abs(path)
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	return "", errs.Hint(errs.Newf(errs.Infra, "find %s: not beside gameday and not in PATH", name),
		"run make build, or set GAMEDAY_BIN_DIR to the directory that holds the binaries")
}

// sourceBin is bin/ of this module's source tree, or "" outside of one.
func sourceBin() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; ; dir = filepath.Dir(dir) {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(data), "module github.com/gameday-bench/gameday\n") {
			return filepath.Join(dir, "bin")
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}
