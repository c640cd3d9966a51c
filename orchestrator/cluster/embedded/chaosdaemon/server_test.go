package chaosdaemon

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestContainer(t *testing.T) {
	t.Parallel()
	n := newNode()
	client := start(t, n)
	kill := &pb.ContainerAction{Action: pb.ContainerAction_KILL}
	pid := &pb.ContainerAction{Action: pb.ContainerAction_GETPID}

	resp, err := client.ContainerGetPid(t.Context(), &pb.ContainerRequest{Action: pid, ContainerId: c1})
	require.NoError(t, err)
	require.EqualValues(t, 4242, resp.GetPid())

	_, err = client.ContainerKill(t.Context(), &pb.ContainerRequest{Action: kill, ContainerId: c1})
	require.NoError(t, err)
	require.Equal(t, []string{"c1"}, n.killed)

	_, err = client.ContainerKill(t.Context(), &pb.ContainerRequest{Action: pid, ContainerId: c1})
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = client.ContainerGetPid(t.Context(), &pb.ContainerRequest{Action: pid, ContainerId: "containerd://c2"})
	require.Equal(t, codes.NotFound, status.Code(err))
	_, err = client.ContainerGetPid(t.Context(), &pb.ContainerRequest{Action: pid, ContainerId: "c1"})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.ErrorContains(t, err, "KernelChaos is not supported")
}

func TestSetDNSServer(t *testing.T) {
	t.Parallel()
	const before = "search hotel.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
	path := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(path, []byte(before), 0o644))
	n := newNode()
	n.containers["c1"] = Container{ID: "c1", SandboxID: "s1", ResolvConf: path}
	client := start(t, n)
	set := func(server string, enable bool) error {
		_, err := client.SetDNSServer(t.Context(), &pb.SetDNSServerRequest{ContainerId: c1, DnsServer: server, Enable: enable})
		return err
	}
	require.Equal(t, codes.InvalidArgument, status.Code(set("nowhere", true)))
	for range 2 { // the second container of a pod shares the file
		require.NoError(t, set("10.96.0.53", true))
	}
	now, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, strings.Replace(before, "10.96.0.10", "10.96.0.53", 1), string(now))
	for range 2 {
		require.NoError(t, set("", false))
	}
	now, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, string(now))
}

func TestStressors(t *testing.T) {
	t.Parallel()
	n := newNode()
	client := start(t, n)
	resp, err := client.ExecStressors(t.Context(), &pb.ExecStressRequest{
		Target: c1, CpuStressors: " --cpu-load-slice 10 --cpu-method sqrt --cpu 1 --cpu-load 50",
		MemoryStressors: " --workers 2 --size 24MB",
	})
	require.NoError(t, err)
	cpu, err := strconv.Atoi(resp.GetCpuInstance())
	require.NoError(t, err)
	memory, err := strconv.Atoi(resp.GetMemoryInstance())
	require.NoError(t, err)
	require.Equal(t, map[int]string{cpu: "c1", memory: "c1"}, n.attached)
	require.Eventually(t, func() bool { return rss(t, memory) >= 48<<20 }, 10*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool { return ticks(t, cpu) >= 10 }, 10*time.Second, 20*time.Millisecond)

	_, err = client.CancelStressors(t.Context(), &pb.CancelStressRequest{CpuInstance: resp.GetCpuInstance(), CpuStartTime: 5000})
	require.NoError(t, err)
	require.True(t, alive(cpu), "another start time is another process")
	_, err = client.CancelStressors(t.Context(), &pb.CancelStressRequest{
		CpuInstance: resp.GetCpuInstance(), CpuStartTime: resp.GetCpuStartTime(),
		MemoryInstance: resp.GetMemoryInstance(), MemoryStartTime: resp.GetMemoryStartTime(),
	})
	require.NoError(t, err)
	require.False(t, alive(cpu))
	require.False(t, alive(memory))
	_, err = client.CancelStressors(t.Context(), &pb.CancelStressRequest{CpuInstance: resp.GetCpuInstance()})
	require.NoError(t, err, "ended is ended")
	require.Eventually(t, func() bool { return n.detached.Load() == 2 }, 5*time.Second, 10*time.Millisecond)
}

func TestStressorsRefused(t *testing.T) {
	t.Parallel()
	n := newNode()
	client := start(t, n)
	for _, req := range []*pb.ExecStressRequest{
		{Target: c1, CpuStressors: "--fork 3"},
		{Target: c1, CpuStressors: "--cpu"},
		{Target: c1, MemoryStressors: "--size lots"},
		{Target: c1, CpuStressors: "--cpu 1", Scope: pb.ExecStressRequest_POD},
	} {
		_, err := client.ExecStressors(t.Context(), req)
		require.Equal(t, codes.InvalidArgument, status.Code(err), req.String())
	}
	require.Empty(t, n.attached)
}

func TestStressorThatCannotBeAttachedIsKilled(t *testing.T) {
	t.Parallel()
	n := newNode()
	n.attachErr = os.ErrPermission
	client := start(t, n)
	_, err := client.ExecStressors(t.Context(), &pb.ExecStressRequest{Target: c1, CpuStressors: "--cpu 1"})
	require.Equal(t, codes.Internal, status.Code(err))
	for pid := range n.attached {
		require.False(t, alive(pid))
	}
}

func rss(t *testing.T, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	require.NoError(t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(data))[1], 10, 64)
	require.NoError(t, err)
	return pages * int64(os.Getpagesize())
}

func ticks(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	require.NoError(t, err)
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')'):]))
	user, err := strconv.Atoi(fields[12])
	require.NoError(t, err)
	return user
}
