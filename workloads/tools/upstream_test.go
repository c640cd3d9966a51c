package tools_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
	"github.com/gameday-bench/gameday/workloads/tools"
)

func TestHexdump(t *testing.T) {
	t.Parallel()
	var registry program.Registry
	registry.Register(tools.Images()...)
	box, ok := registry.Lookup("e2e-test-images/busybox")
	require.True(t, ok)
	tree, err := sandbox.NewTree(&sandbox.Container{Root: t.TempDir()})
	require.NoError(t, err)
	defer tree.Close()
	require.NoError(t, program.WriteFile(tree, "/dump.bin", []byte{0xde, 0xca, 0xfe, 0xba, 0xd0, 0xfe, 0xff}, 0o600))
	var out bytes.Buffer
	run := func(args ...string) error {
		return box.Commands["hexdump"](t.Context(), &program.Sys{Files: tree, Args: args, Stdout: &out})
	}
	require.NoError(t, run("-C", "/dump.bin"))
	require.Contains(t, out.String(), "00000000  de ca fe ba d0 fe ff")
	require.Contains(t, out.String(), "\n00000007\n")
	require.Error(t, run("-C", "/none"))
	require.Error(t, run())
}

func TestEffectiveUser(t *testing.T) {
	t.Parallel()
	var registry program.Registry
	registry.Register(tools.Images()...)
	im, ok := registry.Lookup("e2e-test-images/nonewprivs")
	require.True(t, ok)
	var out bytes.Buffer
	require.NoError(t, im.Program(t.Context(), &program.Sys{User: program.User{UID: 1000}, Stdout: &out}))
	require.Equal(t, "Effective uid: 1000\n", out.String())
}
