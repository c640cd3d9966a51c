package leftover_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/internal/leftover"
)

// TestTreeSeesWhatIsLeft: a process, a directory and a socket that outlive their run are found.
func TestTreeSeesWhatIsLeft(t *testing.T) {
	t.Parallel()
	root, err := os.MkdirTemp("", "gk-") //nolint:usetesting // The name of t.TempDir is too long for the socket below it.
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(root)) })
	at := filepath.Join(root, "r", "gameday", "c-1")
	require.NoError(t, os.MkdirAll(at, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(at), ".docker-network.lock"), nil, 0o600)) // It is meant to stay.
	// The shell goes, as a parent that is killed; what it started stays.
	shell := exec.CommandContext(t.Context(), "sh", "-c", "sleep 60 & echo $!; read line")
	shell.Dir = at
	in, err := shell.StdinPipe()
	require.NoError(t, err)
	out, err := shell.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, shell.Start())
	var pid int
	_, err = fmt.Fscan(out, &pid)
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(at, "s.sock"))
	require.NoError(t, err)

	seen := leftover.Watch(shell.Process.Pid, leftover.Home(root))
	seen.Look(shell.Process.Pid)
	seen.Stop()
	require.NoError(t, in.Close())
	_ = shell.Wait() // Its status is that of read.
	found := seen.Find()
	require.Len(t, found.Processes, 1, found.String())
	require.Contains(t, found.Processes[0], strconv.Itoa(pid))
	require.NotEmpty(t, found.Sockets)
	require.Equal(t, []string{at, filepath.Join(at, "s.sock")}, found.Files)

	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.NoError(t, listener.Close())
	require.NoError(t, os.RemoveAll(at))
	require.Zero(t, seen.Left().Count())
}
