package cri

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

func TestContainerEnds(t *testing.T) {
	f := newFixture(t)
	for _, tc := range []struct {
		name   string
		args   []string
		code   int32
		reason string
	}{
		{"success", []string{"exit", "0"}, 0, "Completed"},
		{"failure", []string{"exit", "3"}, 3, "Error"},
		{"unknown command", []string{"nosuch"}, 127, "Error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			st := f.ended(f.start(nil, tc.args...))
			require.Equal(t, runtimeapi.ContainerState_CONTAINER_EXITED, st.State)
			require.Equal(t, tc.code, st.ExitCode)
			require.Equal(t, tc.reason, st.Reason)
			require.GreaterOrEqual(t, st.FinishedAt, st.StartedAt)
			require.Positive(t, st.StartedAt)
		})
	}
}

func TestStopContainer(t *testing.T) {
	f := newFixture(t)
	t.Run("a graceful program ends by itself", func(t *testing.T) {
		id := f.start(nil, "graceful")
		f.logged(id, "started")
		require.NoError(t, f.StopContainer(context.Background(), id, 30))
		st := f.status(id)
		require.Equal(t, int32(0), st.ExitCode)
		require.Equal(t, "Completed", st.Reason)
		f.logged(id, "terminated")
	})
	t.Run("one that ignores SIGTERM is killed", func(t *testing.T) {
		id := f.start(nil, "stubborn")
		f.logged(id, "started")
		begin := time.Now()
		require.NoError(t, f.StopContainer(context.Background(), id, 1))
		require.GreaterOrEqual(t, time.Since(begin), time.Second)
		st := f.status(id)
		require.Equal(t, int32(137), st.ExitCode)
		require.Equal(t, "Error", st.Reason)
	})
	t.Run("a stop signal of its own", func(t *testing.T) {
		id := f.start(func(c *runtimeapi.ContainerConfig) { c.StopSignal = runtimeapi.Signal_SIGINT }, "stubborn")
		f.logged(id, "started")
		require.NoError(t, f.StopContainer(context.Background(), id, 30))
		require.Equal(t, 128+int32(syscall.SIGINT), f.status(id).ExitCode)
	})
	t.Run("one that does not handle SIGTERM dies of it", func(t *testing.T) {
		id := f.start(nil, "sleep")
		f.logged(id, "started")
		require.NoError(t, f.StopContainer(context.Background(), id, 30))
		require.Equal(t, int32(143), f.status(id).ExitCode)
	})
}

func TestLogFormat(t *testing.T) {
	f := newFixture(t)
	id := f.start(nil, "print", "hello", "world")
	f.ended(id)
	log := f.logged(id, "to stderr")
	require.Regexp(t, `(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z stdout F hello world$`, log)
	require.Regexp(t, `(?m)^\S+Z stderr F to stderr$`, log)

	unended := f.start(nil, "unended")
	f.ended(unended)
	require.Regexp(t, `(?m)^\S+Z stdout P no line feed$`, f.logged(unended, "no line feed"))

	long := f.start(nil, "long", "20000")
	f.ended(long)
	lines := strings.Split(strings.TrimSpace(f.logged(long, " F ")), "\n")
	require.Len(t, lines, 2)
	require.Contains(t, lines[0], " stdout P "+strings.Repeat("x", 100))
	require.Contains(t, lines[1], " stdout F x")
	require.True(t, strings.HasSuffix(lines[1], " "+strings.Repeat("x", 20000-maxLogLine)))
}

// TestTracesNameNoModule: what a crash prints is all there, but for the module that its packages are of.
func TestTracesNameNoModule(t *testing.T) {
	f := newFixture(t)
	id := f.start(nil, "crash")
	f.ended(id)
	log := f.logged(id, "panic: boom")
	require.Regexp(t, `(?m)^\S+Z stderr F goroutine \d+ \[running\]:$`, log)
	require.Regexp(t, `(?m)^\S+Z stderr F orchestrator/cluster/embedded/cri\S*\(`, log)
	require.NotContains(t, log, "gameday-bench")
}

func TestReopenContainerLog(t *testing.T) {
	f := newFixture(t)
	id := f.start(nil, "graceful")
	f.logged(id, "started")
	path := f.status(id).LogPath
	require.NoError(t, os.Rename(path, path+".old"))
	require.NoError(t, f.ReopenContainerLog(context.Background(), id))
	require.NoError(t, f.StopContainer(context.Background(), id, 10))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(data), "terminated")
	require.NotContains(t, string(data), "started")
}

func TestContainerDescription(t *testing.T) {
	f := newFixture(t)
	volume := filepath.Join(f.dir, "kubelet", "vol")
	require.NoError(t, os.MkdirAll(volume, 0o755))
	id := f.start(func(c *runtimeapi.ContainerConfig) {
		c.Envs = []*runtimeapi.KeyValue{{Key: "COLOR", Value: "blue"}}
		c.WorkingDir = "/srv"
		c.Mounts = []*runtimeapi.Mount{{ContainerPath: "/data", HostPath: volume, Readonly: true}, {ContainerPath: "/host", HostPath: "/etc"}}
		c.Linux = &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{
			ReadonlyRootfs: true, RunAsUser: &runtimeapi.Int64Value{Value: 1000}, RunAsGroup: &runtimeapi.Int64Value{Value: 2000},
			SupplementalGroups: []int64{3000, 3000},
		}}
	}, "env", "COLOR")
	f.ended(id)
	f.logged(id, `blue variant=1.0 args=["/app" "env" "COLOR"] cwd=/srv host=web-0`)
	c, err := f.container(id)
	require.NoError(t, err)
	desc, err := sandbox.LoadContainer(c.configPath())
	require.NoError(t, err)
	require.Equal(t, []sandbox.Mount{
		{ContainerPath: "/etc/resolv.conf", HostPath: c.sandbox.resolvConf(), ReadOnly: true},
		{ContainerPath: "/dev/shm", HostPath: c.sandbox.sharedMemory(), Account: c.sandbox.sharedMemoryAccount(), Memory: true},
		{ContainerPath: "/proc/sys", HostPath: c.sandbox.sysctls(), ReadOnly: true},
		{ContainerPath: "/sys/fs/cgroup", HostPath: c.cgroupDir(), ReadOnly: true},
		{ContainerPath: "/data", HostPath: volume, ReadOnly: true, Within: filepath.Join(f.dir, "kubelet")},
		// Never the host's own /etc.
		{ContainerPath: "/host", HostPath: filepath.Join(f.dir, "root", "etc"), Within: filepath.Join(f.dir, "root")},
	}, desc.Mounts)
	require.True(t, desc.ReadOnlyRoot)
	require.Equal(t, sandbox.User{UID: 1000, GID: 2000, Groups: []uint32{3000}}, desc.User)
	require.Equal(t, "/", desc.Env["HOME"], "a user that /etc/passwd does not know has no home")
	require.Equal(t, []int64{2000, 3000}, f.status(id).User.Linux.SupplementalGroups)
	data, err := os.ReadFile(desc.ResolvConf)
	require.NoError(t, err)
	require.Equal(t, "search svc\nnameserver 10.96.0.10\noptions ndots:5\n", string(data))
	hosts, err := os.ReadFile(filepath.Join(desc.Root, "etc/hosts"))
	require.NoError(t, err)
	require.Contains(t, string(hosts), "web-0")
}

// What a container runs is put together as by any runtime of OCI images.
func TestCommandAndArgs(t *testing.T) {
	f := newFixture(t)
	for _, tc := range []struct {
		name, image   string
		command, args []string
		want          string
	}{
		{"image with an entrypoint, its arguments", "entry", nil, nil, `["/app" "print" "by default"]`},
		{"image with an entrypoint, args", "entry", nil, []string{"print", "args"}, `["/app" "print" "args"]`},
		{"image with an entrypoint, command", "entry", []string{"print", "command"}, nil, `["print" "command"]`},
		{"image with an entrypoint, both", "entry", []string{"print"}, []string{"both"}, `["print" "both"]`},
		{"image without an entrypoint, its arguments", "box", nil, nil, `["print" "by default"]`},
		{"image without an entrypoint, args", "box", nil, []string{"print", "args"}, `["print" "args"]`},
		{"image without an entrypoint, command", "box", []string{"print", "command"}, nil, `["print" "command"]`},
		{"image without an entrypoint, both", "box", []string{"print"}, []string{"both"}, `["print" "both"]`},
	} {
		ref := &runtimeapi.ImageSpec{Image: "registry.local/test/" + tc.image + ":1.0"}
		_, err := f.ImageService().PullImage(context.Background(), ref, nil, nil)
		require.NoError(t, err)
		id := f.start(func(c *runtimeapi.ContainerConfig) { c.Image, c.Command, c.Args = ref, tc.command, tc.args })
		require.Zero(t, f.ended(id).ExitCode, tc.name)
		c, err := f.container(id)
		require.NoError(t, err)
		desc, err := sandbox.LoadContainer(c.configPath())
		require.NoError(t, err)
		require.Equal(t, tc.want, fmt.Sprintf("%q", desc.Args), tc.name)
	}
}

func TestOtherCommandIsInterpreted(t *testing.T) {
	f := newFixture(t)
	id := f.start(func(c *runtimeapi.ContainerConfig) { c.Command = []string{"print", "by", "hand"} })
	require.Equal(t, int32(0), f.ended(id).ExitCode)
	f.logged(id, "by hand")
}

func TestSandboxLife(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	pod := f.pod()
	id := f.create(pod, nil, "sleep")
	require.NoError(t, f.StartContainer(ctx, id))
	require.Error(t, f.StartContainer(ctx, id))
	st, err := f.PodSandboxStatus(ctx, pod, false)
	require.NoError(t, err)
	require.Equal(t, runtimeapi.PodSandboxState_SANDBOX_READY, st.Status.State)
	require.Equal(t, "10.0.0.1", st.Status.Network.Ip)
	list, err := f.ListPodSandbox(ctx, &runtimeapi.PodSandboxFilter{LabelSelector: map[string]string{"app": "web"}})
	require.NoError(t, err)
	require.Len(t, list, 1)
	list, err = f.ListPodSandbox(ctx, &runtimeapi.PodSandboxFilter{LabelSelector: map[string]string{"app": "db"}})
	require.NoError(t, err)
	require.Empty(t, list)

	require.NoError(t, f.StopPodSandbox(ctx, pod))
	require.NoError(t, f.StopPodSandbox(ctx, pod))
	require.Equal(t, int32(137), f.status(id).ExitCode)
	require.Zero(t, f.network.count())
	st, err = f.PodSandboxStatus(ctx, pod, false)
	require.NoError(t, err)
	require.Equal(t, runtimeapi.PodSandboxState_SANDBOX_NOTREADY, st.Status.State)

	require.NoError(t, f.RemovePodSandbox(ctx, pod))
	require.NoError(t, f.RemovePodSandbox(ctx, pod))
	_, err = f.ContainerStatus(ctx, id, false)
	require.Error(t, err)
	left, err := os.ReadDir(filepath.Join(f.dir, "cri", "containers"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestNodeCrash(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	pod := f.pod()
	id := f.create(pod, nil, "sleep")
	require.NoError(t, f.StartContainer(ctx, id))
	done := f.create(pod, nil, "exit", "5")
	require.NoError(t, f.StartContainer(ctx, done))
	f.ended(done)
	crashed := f.Runtime
	f.network = &fakeNetwork{}
	f.open() // As a new process finds it: the records say that the container runs.

	st := f.ended(id) // Nobody waits for what ended with the node.
	require.Equal(t, runtimeapi.ContainerState_CONTAINER_EXITED, st.State)
	require.Equal(t, int32(unknownExitCode), st.ExitCode)
	require.Equal(t, "Unknown", st.Reason)
	require.Equal(t, int32(5), f.ended(done).ExitCode)
	box, err := f.PodSandboxStatus(ctx, pod, false)
	require.NoError(t, err)
	require.Equal(t, runtimeapi.PodSandboxState_SANDBOX_NOTREADY, box.Status.State)
	require.NoError(t, crashed.Close())
	require.NoError(t, f.RemovePodSandbox(ctx, pod))
}

func TestCloseEndsEverything(t *testing.T) {
	f := newFixture(t)
	id := f.start(nil, "stubborn")
	c, err := f.container(id)
	require.NoError(t, err)
	f.logged(id, "started")
	pid := c.main.pid
	require.NoError(t, f.Close())
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	require.Zero(t, f.network.count())
	require.Error(t, f.StartContainer(context.Background(), f.create(f.pod(), nil, "sleep")))
}
