package procx_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/proctree"
	"github.com/gameday-bench/gameday/internal/procx"
)

// TestMain plays the parent in the middle when it is asked to: it starts a sleeping child, says its process id, and waits
// to be killed.
func TestMain(m *testing.M) {
	if os.Getenv("PROCX_TEST_PARENT") == "" {
		os.Exit(m.Run())
	}
	child := exec.Command("sleep", "60")
	if err := procx.Start(child); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(child.Process.Pid)
	_ = child.Wait()
}

func TestChildDiesWithAKilledParent(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "PROCX_TEST_PARENT=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)

	require.NoError(t, syscall.Kill(child, 0), "the child runs")
	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	require.Eventually(t, func() bool { return !proctree.Runs(child) }, 5*time.Second, 5*time.Millisecond)
}

func TestSignalGroupReachesGrandchildren(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "sleep 60 & echo $!; wait")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, procx.Start(cmd))
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	grandchild, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)

	require.NoError(t, procx.SignalGroup(cmd.Process.Pid, syscall.SIGKILL))
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return !proctree.Runs(grandchild) }, 5*time.Second, 5*time.Millisecond)
	require.NoError(t, procx.SignalGroup(cmd.Process.Pid, syscall.SIGKILL), "a group that is gone is no error")
}

func TestChildHasItsTimersCoalesced(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "cat /proc/$$/timerslack_ns")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, procx.Start(cmd))
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, cmd.Wait())
	require.Equal(t, "1000000", strings.TrimSpace(line), "nanoseconds")
}
