package tools_test

import (
	"bytes"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/tools"
)

// Without an entrypoint a container's args are its command line: kubectl run box --image=busybox -- echo hi.
func TestBusyboxHasNoEntrypoint(t *testing.T) {
	t.Parallel()
	var registry program.Registry
	registry.Register(tools.Images()...)
	found := 0
	for _, image := range registry.Images() {
		if path.Base(image.Repository) != "busybox" {
			continue
		}
		found++
		require.Empty(t, image.Entrypoint, image.Repository)
		require.Equal(t, []string{"sh"}, image.Cmd)
		for _, tc := range []struct{ args, in, want string }{
			{"echo hi", "", "hi\n"},
			{"sh -c pwd", "", "/\n"},
			{"", "echo from $0", "from sh\n"},
		} {
			var out bytes.Buffer
			sys := &program.Sys{
				Image: image, Args: strings.Fields(tc.args), Cwd: "/", Env: map[string]string{}, Clock: clock.RealClock{},
				Stdin: strings.NewReader(tc.in), Stdout: &out, Stderr: &out,
			}
			require.NoError(t, image.Program(t.Context(), sys), out.String())
			require.Equal(t, tc.want, out.String(), "%s %q", image.Repository, tc.args)
		}
	}
	require.Positive(t, found)
}
