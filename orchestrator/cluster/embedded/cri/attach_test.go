package cri

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/procx"
)

// helper starts a process that belongs to no container yet.
func (f *fixture) helper(args ...string) *exec.Cmd {
	f.t.Helper()
	config := filepath.Join(f.dir, "helper.json")
	require.NoError(f.t, os.WriteFile(config, []byte(`{"args":["x"]}`), 0o600))
	cmd := exec.Command(os.Args[0], append([]string{"--container", config, "--exec", "--"}, args...)...)
	require.NoError(f.t, procx.Start(cmd))
	return cmd
}

func TestAttachProcess(t *testing.T) {
	f := newFixture(t)
	id := f.start(nil, "sleep")
	f.logged(id, "started")
	c, err := f.container(id)
	require.NoError(t, err)
	cmd := f.helper("spin")
	detach, err := f.AttachProcess(id, cmd.Process.Pid)
	require.NoError(t, err)
	before := c.measureCPU()
	require.Eventually(t, func() bool { return c.measureCPU()-before > 200*time.Millisecond }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, uint64(2), c.usage().Processes)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	detach()
	detach()
	require.Eventually(t, func() bool { return c.usage().Processes == 1 }, 10*time.Second, 5*time.Millisecond)
	require.Greater(t, c.measureCPU()-before, 200*time.Millisecond, "what it used still counts")

	second := f.helper("spin")
	_, err = f.AttachProcess(id, second.Process.Pid)
	require.NoError(t, err)
	require.NoError(t, f.StopContainer(context.Background(), id, 0))
	require.EqualError(t, second.Wait(), "signal: killed")
	_, err = f.AttachProcess(id, 1)
	require.Error(t, err)
}

func TestLookup(t *testing.T) {
	f := newFixture(t)
	pod := f.pod()
	id := f.create(pod, nil, "sleep")
	_, err := f.Inspect(id)
	require.ErrorContains(t, err, "CONTAINER_CREATED")
	require.NoError(t, f.StartContainer(context.Background(), id))
	info, err := f.Inspect(id)
	require.NoError(t, err)
	require.Equal(t, pod, info.SandboxID)
	require.Positive(t, info.PID)
	require.FileExists(t, info.ResolvConf)
	for _, got := range []func() (string, error){
		func() (string, error) { return f.SandboxOf("uid", "", "") },
		func() (string, error) { return f.SandboxOf("", "default", "pod") },
		func() (string, error) { return f.SandboxAt(netip.MustParseAddr("10.0.0.1")) },
	} {
		box, err := got()
		require.NoError(t, err)
		require.Equal(t, pod, box)
	}
	_, err = f.SandboxOf("other", "default", "pod")
	require.Error(t, err)
}
