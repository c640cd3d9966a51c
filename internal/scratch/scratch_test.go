package scratch_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/proctree"
	"github.com/gameday-bench/gameday/internal/scratch"
)

// TestMain plays a process with a directory when it is asked to: it says where the directory is and the process id of what
// runs in it, and waits to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("SCRATCH_TEST_PROCESS") == "" {
		os.Exit(m.Run())
	}
	d, err := scratch.MakeTemp("scratch-test-")
	check(err)
	check(os.MkdirAll(filepath.Join(d.Path(), "a", "b"), 0o700))
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(cmd.Start())
	check(d.Guard(cmd.Process.Pid))
	fmt.Println(d.Path(), cmd.Process.Pid)
	_ = cmd.Wait()
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func TestKilledProcessLeavesNothing(t *testing.T) {
	t.Parallel()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), "SCRATCH_TEST_PROCESS=1", "TMPDIR="+t.TempDir())
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	var dir string
	var pid int
	_, err = fmt.Sscan(line, &dir, &pid)
	require.NoError(t, err, line)
	require.DirExists(t, dir)

	require.NoError(t, process.Process.Kill())
	require.Error(t, process.Wait())
	require.Eventually(t, func() bool { return !proctree.Runs(pid) }, 10*time.Second, 5*time.Millisecond, "what it had started is killed")
	require.Eventually(t, func() bool { _, err := os.Lstat(dir); return os.IsNotExist(err) }, 10*time.Second, 5*time.Millisecond)
}

func TestRemove(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "with space")
	d, err := scratch.Make(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o700, info.Mode())
	require.NoError(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	require.NoError(t, d.Remove())
	require.NoError(t, d.Remove(), "it is idempotent")
	require.NoDirExists(t, path)
	require.Error(t, d.Guard(1), "the janitor is gone")
}

func TestTakenPathIsLeftAlone(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	_, err := scratch.Make(path)
	require.ErrorIs(t, err, os.ErrExist)
	require.DirExists(t, path)
	_, err = scratch.Make(filepath.Join(path, "no", "parent"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
