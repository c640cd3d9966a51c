package chaosdaemon

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"
	"time"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

func TestTimeOffset(t *testing.T) {
	t.Parallel()
	n := newNode()
	client := start(t, n)
	set := func(uid string, sec, nsec int64, mask uint64) error {
		_, err := client.SetTimeOffset(t.Context(), &pb.TimeRequest{ContainerId: c1, Uid: uid, Sec: sec, Nsec: nsec, ClkIdsMask: mask})
		return err
	}
	recovered := func(uid string) error {
		_, err := client.RecoverTimeOffset(t.Context(), &pb.TimeRequest{ContainerId: c1, Uid: uid})
		return err
	}
	require.NoError(t, set("a", -600, -100, 1))
	require.Equal(t, sandbox.ClockOffsets{Wall: -10*time.Minute - 100}, n.clocks["c1"])
	require.NoError(t, set("a", -600, -100, 1), "the controllers may say so twice")
	require.Equal(t, sandbox.ClockOffsets{Wall: -10*time.Minute - 100}, n.clocks["c1"])
	require.NoError(t, set("b", 60, 0, 1|1<<1))
	require.Equal(t, sandbox.ClockOffsets{Wall: -9*time.Minute - 100, Monotonic: time.Minute}, n.clocks["c1"], "they add up")
	require.NoError(t, recovered("a"))
	require.Equal(t, sandbox.ClockOffsets{Wall: time.Minute, Monotonic: time.Minute}, n.clocks["c1"])
	require.NoError(t, recovered("b"))
	require.Equal(t, sandbox.ClockOffsets{}, n.clocks["c1"])
	require.NoError(t, recovered("b"))

	require.Equal(t, codes.InvalidArgument, status.Code(set("c", 1, 0, 1<<2)))
	_, err := client.SetTimeOffset(t.Context(), &pb.TimeRequest{ContainerId: "containerd://gone", Sec: 1, ClkIdsMask: 1})
	require.Equal(t, codes.NotFound, status.Code(err))
}

func TestIOChaos(t *testing.T) {
	t.Parallel()
	perm, kind, size := uint16(72), fs.ModeNamedPipe, uint64(3)
	for _, tc := range []struct {
		name, actions string
		want          sandbox.FileRule
	}{
		{
			"latency", `[{"type":"latency","path":"/data/**/*","percent":10,"methods":["read","write"],"latency":"10ms"}]`,
			sandbox.FileRule{Path: "/data/**/*", Percent: 10, Methods: []string{"read", "write"}, Latency: 10 * time.Millisecond},
		},
		{
			"fault", `[{"type":"fault","path":"","percent":50,"faults":[{"errno":28,"weight":1}],"latency":""}]`,
			sandbox.FileRule{Percent: 50, Faults: []sandbox.FileFault{{Errno: syscall.ENOSPC, Weight: 1}}},
		},
		{
			"attrOverride", `[{"type":"attrOverride","path":"","percent":100,"faults":[{"errno":0,"weight":1}],"perm":72,"size":3,"kind":"namedPipe","mtime":{"sec":1,"nsec":2}}]`,
			sandbox.FileRule{Percent: 100, Attributes: &sandbox.FileAttributes{
				Perm: &perm, Size: &size, Kind: &kind, Mtime: &syscall.Timespec{Sec: 1, Nsec: 2},
			}},
		},
		{
			"mistake", `[{"type":"mistake","path":"","percent":100,"mistake":{"filling":"random","maxOccurrences":2,"maxLength":8}}]`,
			sandbox.FileRule{Percent: 100, Mistake: &sandbox.FileMistake{Random: true, MaxOccurrences: 2, MaxLength: 8}},
		},
		{
			"least mistake", `[{"type":"mistake","path":"","percent":100,"mistake":{"filling":"zero"}}]`,
			sandbox.FileRule{Percent: 100, Mistake: &sandbox.FileMistake{MaxOccurrences: 1, MaxLength: 1}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := newNode()
			client := start(t, n)
			resp, err := client.ApplyIOChaos(t.Context(), &pb.ApplyIOChaosRequest{ContainerId: c1, Volume: "/data", Actions: tc.actions})
			require.NoError(t, err)
			require.NotZero(t, resp.GetInstance())
			tc.want.Volume = "/data"
			require.Equal(t, []sandbox.FileRule{tc.want}, n.rules["c1"])
			resp, err = client.ApplyIOChaos(t.Context(), &pb.ApplyIOChaosRequest{ContainerId: c1, Volume: "/data", Actions: "[]", Instance: resp.GetInstance()})
			require.NoError(t, err)
			require.Zero(t, resp.GetInstance())
			require.Empty(t, n.rules["c1"])
		})
	}
}

func TestIOChaosRefused(t *testing.T) {
	t.Parallel()
	n := newNode()
	client := start(t, n)
	for _, actions := range []string{
		`[{"type":"latency","latency":"soon"}]`, `[{"type":"fault","faults":[{"errno":0}]}]`, `[{"type":"attrOverride"}]`,
		`[{"type":"attrOverride","kind":"door"}]`, `[{"type":"mistake"}]`, `[{"type":"none"}]`, `{`,
	} {
		_, err := client.ApplyIOChaos(t.Context(), &pb.ApplyIOChaosRequest{ContainerId: c1, Volume: "/data", Actions: actions})
		require.Equal(t, codes.InvalidArgument, status.Code(err), actions)
	}
	_, err := client.ApplyIOChaos(t.Context(), &pb.ApplyIOChaosRequest{ContainerId: "containerd://gone", Volume: "/data", Actions: `[{"type":"latency","latency":"1s"}]`})
	require.Equal(t, codes.NotFound, status.Code(err))
	n.fileErr = errors.New("/data is neither a mount nor a directory")
	_, err = client.ApplyIOChaos(t.Context(), &pb.ApplyIOChaosRequest{ContainerId: c1, Volume: "/data", Actions: `[{"type":"latency","latency":"1s"}]`})
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.ErrorContains(t, err, "/data is neither")
	n.fileErr = nil
	require.Empty(t, n.rules["c1"])
}

func TestIOChaosFollowsItsContainer(t *testing.T) {
	t.Parallel()
	n := newNode()
	client := start(t, n)
	n.containers["c2"] = Container{ID: "c2", SandboxID: "s1"}
	const latency = `[{"type":"latency","percent":100,"latency":"1s"}]`
	resp, err := client.ApplyIOChaos(t.Context(), &pb.ApplyIOChaosRequest{ContainerId: c1, Volume: "/data", Actions: latency})
	require.NoError(t, err)
	moved, err := client.ApplyIOChaos(t.Context(), &pb.ApplyIOChaosRequest{ContainerId: "containerd://c2", Volume: "/data", Actions: latency, Instance: resp.GetInstance()})
	require.NoError(t, err)
	require.Empty(t, n.rules["c1"])
	require.Len(t, n.rules["c2"], 1)
	delete(n.containers, "c2")
	_, err = client.ApplyIOChaos(t.Context(), &pb.ApplyIOChaosRequest{ContainerId: "containerd://c2", Volume: "/data", Actions: "[]", Instance: moved.GetInstance()})
	require.NoError(t, err, "what has ended is well")
}

func TestBlockChaos(t *testing.T) {
	t.Parallel()
	n := newNode()
	client := start(t, n)
	n.mounts = map[string][]string{"/mnt/disk": {"/var/lib/mysql", "/backup"}}
	request := &pb.ApplyBlockChaosRequest{ContainerId: c1, VolumePath: "/mnt/disk", Delay: &pb.BlockDelaySpec{Delay: 1e9, Jitter: 1e6}}
	resp, err := client.ApplyBlockChaos(t.Context(), request)
	require.NoError(t, err)
	require.Len(t, n.rules["c1"], 2)
	require.Equal(t, sandbox.FileRule{
		Volume: "/var/lib/mysql", Methods: []string{"read", "write", "fsync"}, Percent: 100, Latency: time.Second, Jitter: time.Millisecond,
	}, n.rules["c1"][0])
	_, err = client.ApplyIOChaos(t.Context(), &pb.ApplyIOChaosRequest{ContainerId: c1, Volume: "/data", Actions: `[{"type":"latency","percent":100,"latency":"1s"}]`})
	require.NoError(t, err)
	require.Len(t, n.rules["c1"], 3, "IOChaos lies beside it")
	_, err = client.RecoverBlockChaos(t.Context(), &pb.RecoverBlockChaosRequest{InjectionId: resp.GetInjectionId()})
	require.NoError(t, err)
	require.Len(t, n.rules["c1"], 1)
	_, err = client.RecoverBlockChaos(t.Context(), &pb.RecoverBlockChaosRequest{InjectionId: resp.GetInjectionId()})
	require.NoError(t, err)

	request.VolumePath = "/mnt/other"
	_, err = client.ApplyBlockChaos(t.Context(), request)
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.ErrorContains(t, err, "/mnt/other")
}

func TestRefusedWithAReason(t *testing.T) {
	t.Parallel()
	client := start(t, newNode())
	_, err := client.InstallJVMRules(t.Context(), &pb.InstallJVMRulesRequest{ContainerId: c1})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.ErrorContains(t, err, "no container runs one")
	_, err = client.UninstallJVMRules(t.Context(), &pb.UninstallJVMRulesRequest{ContainerId: c1})
	require.NoError(t, err)
}
