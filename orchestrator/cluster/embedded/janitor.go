package embedded

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// janitorScript waits for the end of its input, which comes when the parent closes the pipe or dies in whatever way, and
// removes the cluster's directory. The kernel kills the cluster's processes when the parent dies (internal/procx); the
// second round takes what a dying process wrote in between.
const janitorScript = `trap '' INT TERM HUP
cat >/dev/null
for pause in 0.1 0.3 0.6; do rm -rf -- "$1" 2>/dev/null; sleep "$pause"; done
rm -rf -- "$1"`

// janitor is a tiny process outside the parent's session that removes dir after the parent, even after kill -9.
type janitor struct {
	cmd  *exec.Cmd
	line io.Closer
}

func startJanitor(dir string) (*janitor, error) {
	cmd := exec.Command("/bin/sh", "-c", janitorScript, "gameday-janitor", dir)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	line, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("make janitor's pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start janitor: %w", err)
	}
	return &janitor{cmd, line}, nil
}

// dismiss ends the janitor after an orderly stop, when there is nothing left for it to do.
func (j *janitor) dismiss() {
	_ = j.cmd.Process.Kill()
	_ = j.line.Close()
	_ = j.cmd.Wait()
}
