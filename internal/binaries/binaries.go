// Package binaries finds gameday's executables: they lie side by side, and one starts another.
package binaries

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gameday-bench/gameday/internal/errs"
)

// Programs are the executables that hold the programs of containers, and say with --images which images they offer.
func Programs() []string { return []string{"gameday-dns", "gameday-pod", "gameday-prometheus"} }

// Companions are the executables that hold programs of images which another one offers. They are started in its place.
func Companions() []string { return []string{"gameday-mysql"} }

// furtherVariable lists executables that are not gameday's.
const furtherVariable = "GAMEDAY_PROGRAMS"

// Further returns the executables of somebody's own that hold the programs of containers, as Programs do: those that $GAMEDAY_PROGRAMS
// lists by their absolute paths, separated as in PATH. That one of them is not there is an error of party infra.
func Further() ([]string, error) {
	var out []string
	for _, path := range filepath.SplitList(os.Getenv(furtherVariable)) {
		if _, ok := in(filepath.Split(path)); !ok || !filepath.IsAbs(path) {
			return nil, errs.Hint(errs.Newf(errs.Infra, "find %q: no such executable", path), "%s lists absolute paths, separated as in PATH", furtherVariable)
		}
		out = append(out, path)
	}
	return out, nil
}

// Find returns the absolute path of the executable called name. It looks in dir or, where dir is empty, in $GAMEDAY_BIN_DIR,
// beside the running executable, in bin/ of the source tree that the working directory is in (so that go test needs no
// setting), and in PATH. That it is nowhere is an error of party infra.
func Find(dir, name string) (string, error) {
	hint := "run make build, or set GAMEDAY_BIN_DIR to the directory that holds the binaries"
	if dir != "" {
		if path, ok := in(dir, name); ok {
			return filepath.Abs(path)
		}
		return "", errs.Hint(errs.Newf(errs.Infra, "find %s: no such executable in %s", name, dir), "%s", hint)
	}
	for _, dir := range places() {
		if path, ok := in(dir, name); ok {
			return filepath.Abs(path)
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	return "", errs.Hint(errs.Newf(errs.Infra, "find %s: not beside gameday and not in PATH", name), "%s", hint)
}

// in returns the path of the executable in dir.
func in(dir, name string) (string, bool) {
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	return path, err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

// places are the directories to look in before PATH.
func places() []string {
	var out []string
	if dir := os.Getenv("GAMEDAY_BIN_DIR"); dir != "" {
		out = append(out, dir)
	}
	if self, err := os.Executable(); err == nil {
		if target, err := filepath.EvalSymlinks(self); err == nil {
			self = target
		}
		out = append(out, filepath.Dir(self))
	}
	if dir := sourceBin(); dir != "" {
		out = append(out, dir)
	}
	return out
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
