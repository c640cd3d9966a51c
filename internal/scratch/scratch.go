// Package scratch makes directories that are gone when their process is, however it ends.
//
// Beside each directory runs a janitor, a shell of some hundred kilobytes in a session of its own. It makes the directory
// itself, so that there is no moment at which the directory is there and nobody would remove it, and then waits for the end
// of its input, which the kernel brings about when the process ends, kill -9 included.
//
// Where there is no shell there is no janitor: that is a container made from an image of nothing but the harness, whose files end
// with it, whatever ends it.
package scratch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// shell runs the janitor.
const shell = "/bin/sh"

// script is the janitor. The kernel kills the children of the process when it dies (internal/procx); the later rounds take
// what a dying process wrote in between, and parents that it made anew.
const script = `trap '' INT TERM HUP
mkdir -m 700 -- "$1" 2>/dev/null || exit 1
echo made
groups=
while read -r group; do groups="$groups -$group"; done
for group in $groups; do kill -9 "$group" 2>/dev/null; done
for pause in 0.1 0.3 0.6 1 1; do rm -rf -- "$1" 2>/dev/null; sleep "$pause"; done
rm -rf -- "$1"`

// Dir is one directory with its janitor. Methods are safe for concurrent use.
type Dir struct {
	path string
	// cmd is the janitor, nil where there is none.
	cmd    *exec.Cmd
	line   io.WriteCloser
	remove func() error
}

// Make makes the directory at path, whose parent exists, with mode 0700. A path that is taken is an error that is
// os.ErrExist.
func Make(path string) (*Dir, error) {
	if _, err := os.Stat(shell); errors.Is(err, fs.ErrNotExist) {
		return alone(path)
	}
	cmd := exec.Command(shell, "-c", script, "gameday-janitor", path) //nolint:noctx // It outlives this process.
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	line, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make janitor's pipe: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make janitor's pipe: %w", err), line.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start janitor: %w", err)
	}
	d := &Dir{path: path, cmd: cmd, line: line}
	d.remove = sync.OnceValue(d.end)
	if answer, err := bufio.NewReader(out).ReadString('\n'); err != nil || answer != "made\n" {
		return nil, d.unmade()
	}
	return d, nil
}

// alone makes the directory without a janitor.
func alone(path string) (*Dir, error) {
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, err
	}
	d := &Dir{path: path}
	d.remove = sync.OnceValue(d.end)
	return d, nil
}

// unmade says why the janitor could not make the directory: the kernel tells us the same reason.
func (d *Dir) unmade() error {
	_ = d.line.Close()
	ended := d.cmd.Wait()
	err := os.Mkdir(d.path, 0o700)
	if err == nil {
		err = errors.Join(fmt.Errorf("make %s: the janitor failed: %w", d.path, ended), os.Remove(d.path))
	}
	return err
}

// MakeTemp is Make for a new name that begins with prefix, in the directory for temporary files.
func MakeTemp(prefix string) (*Dir, error) {
	for {
		d, err := Make(filepath.Join(os.TempDir(), prefix+strconv.FormatUint(rand.Uint64(), 36)))
		if !errors.Is(err, os.ErrExist) {
			return d, err
		}
	}
}

// Path is where the directory is.
func (d *Dir) Path() string { return d.path }

// Guard has the janitor kill the process group of pid, too, should this process end before Remove. internal/procx covers a
// child; this is for what the child starts.
func (d *Dir) Guard(pid int) error {
	if d.cmd == nil {
		return nil
	}
	if _, err := fmt.Fprintln(d.line, pid); err != nil {
		return fmt.Errorf("tell janitor: %w", err)
	}
	return nil
}

// Remove removes the directory with everything in it, and lets the janitor go. It is idempotent. After an error the janitor
// goes on trying for some seconds.
func (d *Dir) Remove() error { return d.remove() }

func (d *Dir) end() error {
	err := os.RemoveAll(d.path)
	if err != nil {
		// A process that was killed a moment ago may have been writing: its last file can appear behind RemoveAll.
		err = os.RemoveAll(d.path)
	}
	if err != nil {
		err = fmt.Errorf("remove %s: %w", d.path, err)
	}
	if d.cmd == nil {
		return err
	}
	if err == nil {
		_ = d.cmd.Process.Kill()
	}
	_ = d.line.Close()
	if err != nil {
		go func() { _ = d.cmd.Wait() }()
		return err
	}
	_ = d.cmd.Wait() // It was killed.
	return nil
}
