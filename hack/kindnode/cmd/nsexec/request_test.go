package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want request
	}{
		"network": {
			[]string{"-n", "/proc/7/ns/net", "--", "tc", "qdisc", "-s"},
			request{[]namespace{{unix.CLONE_NEWNET, "/proc/7/ns/net"}}, []string{"tc", "qdisc", "-s"}},
		},
		"mounts are entered last": {
			[]string{"-m", "/m", "-p", "/p", "--", "sh"},
			request{[]namespace{{unix.CLONE_NEWPID, "/p"}, {unix.CLONE_NEWNS, "/m"}}, []string{"sh"}},
		},
		"own files":    {[]string{"-l", "-p", "/p", "-m", "/m", "--", "toda"}, request{[]namespace{{unix.CLONE_NEWPID, "/p"}}, []string{"toda"}}},
		"no separator": {[]string{"-i", "/i", "ls"}, request{[]namespace{{unix.CLONE_NEWIPC, "/i"}}, []string{"ls"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(c.args)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	for _, args := range [][]string{nil, {"--"}, {"-n"}, {"-n", "/n", "--"}, {"-U", "/u", "--", "ls"}} {
		_, err := parse(args)
		require.Error(t, err, args)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	for want, command := range map[int][]string{
		0: {"true"}, 3: {"sh", "-c", "exit 3"}, 143: {"sh", "-c", "kill -TERM $$"}, 127: {"no-such-command"},
	} {
		code, err := run(command)
		require.Equal(t, want, code)
		require.Equal(t, want == 127, err != nil)
	}
}
