package cri

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// lives returns the conditions that a new process of a container sees.
func (f *fixture) lives(id string) string {
	f.t.Helper()
	out, _, err := f.ExecSync(context.Background(), id, []string{"conditions"}, time.Minute)
	require.NoError(f.t, err)
	return strings.TrimSpace(string(out))
}

func TestClocks(t *testing.T) {
	f := newFixture(t)
	one, other := f.start(nil, "graceful"), f.start(nil, "graceful")
	require.Equal(t, "0s 0s <nil>", f.lives(one))
	require.NoError(t, f.SetClocks(one, sandbox.ClockOffsets{Wall: time.Hour, Monotonic: time.Second}))
	require.Equal(t, "1h0m0s 1s <nil>", f.lives(one))
	require.Equal(t, "0s 0s <nil>", f.lives(other))

	require.NoError(t, f.SetNodeClocks(sandbox.ClockOffsets{Wall: -time.Minute}))
	require.Equal(t, "59m0s 1s <nil>", f.lives(one))
	require.Equal(t, "-1m0s 0s <nil>", f.lives(other))
	require.Equal(t, "-1m0s 0s <nil>", f.lives(f.start(nil, "graceful")), "a container that starts later")
	require.NoError(t, f.SetClocks(one, sandbox.ClockOffsets{}))
	require.Equal(t, "-1m0s 0s <nil>", f.lives(one))
	require.NoError(t, f.SetNodeClocks(sandbox.ClockOffsets{}))
	require.Equal(t, "0s 0s <nil>", f.lives(one))
	require.Equal(t, codes.NotFound, status.Code(f.SetClocks("none", sandbox.ClockOffsets{})))
}

func TestFileRules(t *testing.T) {
	f := newFixture(t)
	id := f.start(nil, "graceful")
	rule := sandbox.FileRule{Volume: "/tmp", Percent: 100, Faults: []sandbox.FileFault{{Errno: syscall.EIO, Weight: 1}}}
	require.NoError(t, f.SetFileRules(id, []sandbox.FileRule{rule}))
	require.Equal(t, "0s 0s input/output error", f.lives(id))
	require.NoError(t, f.SetFileRules(id, nil))
	require.Equal(t, "0s 0s <nil>", f.lives(id))
	for _, volume := range []string{"/nowhere", "/etc/hosts", "/../../etc"} {
		rule.Volume = volume
		err := f.SetFileRules(id, []sandbox.FileRule{rule})
		if volume == "/../../etc" { // Its own /etc.
			require.NoError(t, err)
			continue
		}
		require.Equal(t, codes.FailedPrecondition, status.Code(err), volume)
		require.ErrorContains(t, err, volume)
	}
	require.NoError(t, f.StopContainer(context.Background(), id, 5))
	require.Error(t, f.SetFileRules(id, nil), "it has ended")
}
