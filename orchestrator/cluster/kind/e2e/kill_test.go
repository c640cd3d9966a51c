//go:build kind

package e2e

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/results"
)

// workerKilled kills a worker in the middle of a run: the trial says which one was lost and is tried again, on a cluster that is whole.
func workerKilled(t *testing.T) {
	h := newHarness(t)
	p := h.start(t, "worker", "--infra-retries", "1")
	victim := h.killNode(t, p, worker)
	require.Zero(t, p.end(t), p.said())
	require.Empty(t, containers(t, "", ""), "the run took its clusters down")

	data := h.load(t, "worker")
	require.Equal(t, results.RunFinished, data.Run.Status)
	require.Len(t, data.Trials, 2, "the trial and its second try")
	requireLost(t, data.Trials[0], victim)
	require.Equal(t, results.Graded, data.Trials[1].Status)
	h.deleteAll(t)
}

// controlPlaneKilled does the same to the control plane, with nothing tried again.
func controlPlaneKilled(t *testing.T) {
	h := newHarness(t)
	p := h.startSmall(t, "plane")
	victim := h.killNode(t, p, controlPlane)
	require.Equal(t, errs.ExitIncomplete, p.end(t), p.said())
	require.Empty(t, containers(t, "", ""), "the run took its cluster down")

	data := h.load(t, "plane")
	require.Equal(t, results.RunFinished, data.Run.Status)
	require.Len(t, data.Trials, 1)
	requireLost(t, data.Trials[0], victim)
	h.deleteAll(t)
}

// killNode kills a node's container while the application is deployed, and returns its name.
func (h *harness) killNode(t *testing.T, p *play, role string) string {
	t.Helper()
	p.reach(t, orchestrator.Deploy)
	nodes := containers(t, "", role)
	require.NotEmpty(t, nodes)
	victim := nodes[len(nodes)-1]
	docker(t, "kill", victim)
	return victim
}

// requireLost: the trial is a failure of the machine, and names the container that ended.
func requireLost(t *testing.T, r results.TrialRecord, container string) {
	t.Helper()
	require.Equal(t, results.InfraError, r.Status)
	require.NotNil(t, r.Error)
	require.Equal(t, string(errs.Infra), r.Error.Party)
	require.Contains(t, r.Error.Message, container, "the error names the node's container")
	t.Logf("%s: %s", r.Dir, r.Error.Message)
}

// harnessKilled kills gameday: the run says so, and what it had in Docker is found and removed.
func harnessKilled(t *testing.T) {
	h := newHarness(t)
	p := h.startSmall(t, "killed")
	p.reach(t, orchestrator.Deploy)
	require.NoError(t, p.cmd.Process.Kill())
	require.Equal(t, -1, p.end(t))
	require.NotEmpty(t, containers(t, "", ""), "Docker keeps what nobody removes")

	data := h.load(t, "killed")
	require.Equal(t, results.RunInterrupted, data.Run.Status)
	require.Contains(t, data.Run.Error.Hint, "gameday resume killed")
	killed, err := data.Killed()
	require.NoError(t, err)
	require.Len(t, killed, 1)
	require.Equal(t, string(orchestrator.Deploy), killed[0].Phase)
	h.deleteAll(t)
}

// harnessInterrupted: a run that is told to end takes down what it has by itself.
func harnessInterrupted(t *testing.T) {
	h := newHarness(t)
	p := h.startSmall(t, "interrupted")
	p.reach(t, orchestrator.Deploy)
	require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
	require.Equal(t, errs.ExitInterrupted, p.end(t), p.said())
	require.Empty(t, containers(t, "", ""))
	data := h.load(t, "interrupted")
	require.Equal(t, results.RunCancelled, data.Run.Status)
	require.Len(t, data.Trials, 1)
	require.Equal(t, results.Cancelled, data.Trials[0].Status)
}

// daemonKilled kills the Docker daemon: the trial is a failure of the machine. Once the daemon is back, what was left is removed.
func daemonKilled(t *testing.T) {
	restart := os.Getenv("GAMEDAY_E2E_DOCKERD")
	if restart == "" {
		t.Skip("the Docker daemon is not ours to kill: GAMEDAY_E2E_DOCKERD is empty")
	}
	h := newHarness(t)
	t.Cleanup(func() { startDaemon(t, restart) }) // Before the harness deletes its clusters, on every path.
	p := h.startSmall(t, "daemon")
	p.reach(t, orchestrator.Deploy)
	require.NoError(t, syscall.Kill(daemon(t), syscall.SIGKILL))
	code := p.end(t)
	require.Contains(t, []int{errs.ExitIncomplete, errs.ExitEnvironment}, code, p.said())

	data := h.load(t, "daemon")
	require.Len(t, data.Trials, 1)
	lost := data.Trials[0]
	require.Equal(t, results.InfraError, lost.Status)
	require.NotNil(t, lost.Error)
	require.Equal(t, string(errs.Infra), lost.Error.Party)
	require.Contains(t, lost.Error.Message, "the container engine does not answer")
	t.Logf("%s: %s", lost.Dir, lost.Error.Message)
	startDaemon(t, restart)
	h.deleteAll(t)
}

// daemon is the process id of the Docker daemon, which listens at the socket of DOCKER_HOST.
func daemon(t *testing.T) int {
	t.Helper()
	path, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	require.True(t, ok, "DOCKER_HOST is the socket of our own daemon")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", path)
	require.NoError(t, err)
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	require.NoError(t, err)
	var peer *syscall.Ucred
	var peerErr error
	require.NoError(t, raw.Control(func(fd uintptr) {
		peer, peerErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}))
	require.NoError(t, peerErr)
	name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(int(peer.Pid)), "comm"))
	require.NoError(t, err)
	require.Equal(t, "dockerd", strings.TrimSpace(string(name)), "who listens is the daemon itself")
	return int(peer.Pid)
}

// startDaemon starts the daemon again where it does not answer, and waits until it does.
func startDaemon(t *testing.T, command string) {
	t.Helper()
	if _, err := tryDocker("info"); err == nil {
		return
	}
	out, err := atRoot(command)
	require.NoError(t, err, "%s: %s", command, out)
	require.Eventually(t, func() bool {
		_, err := tryDocker("info")
		return err == nil
	}, time.Minute, time.Second, "the daemon answers")
}

// atRoot runs a shell command at the module's root, also when the test's own context is over.
func atRoot(command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir = filepath.Join("..", "..", "..", "..")
	// A daemon that was started keeps the pipe: that the shell has ended is what counts.
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return string(out), err
}
