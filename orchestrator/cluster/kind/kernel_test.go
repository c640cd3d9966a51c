package kind

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// tried counts the containers in which the kernel was tried.
func tried(t *testing.T, f *fakeDocker) int {
	t.Helper()
	n := 0
	for _, call := range f.calls(t) {
		if strings.HasPrefix(call, "run --rm ") {
			n++
		}
	}
	return n
}

func TestKernel(t *testing.T) {
	const unknown = "Error: Specified qdisc kind is unknown."
	for name, tc := range map[string]struct {
		said   string
		lacks  map[string]string
		ok     bool
		detail string
	}{
		"everything": {said: "netem 0\ntbf 0\n", ok: true, detail: "netem, tbf"},
		"no netem": {
			said: "netem 2 " + unknown + "\ntbf 0\n", lacks: map[string]string{faults.Netem: "tc qdisc add: Error: Specified qdisc kind is unknown"},
			detail: "the kernel of the nodes does not have netem (tc qdisc add: Error: Specified qdisc kind is unknown)",
		},
		"nothing": {
			said:   "netem 2 RTNETLINK answers: Operation not permitted\ntbf 2\n",
			lacks:  map[string]string{faults.Netem: "tc qdisc add: RTNETLINK answers: Operation not permitted", faults.TBF: "tc qdisc add:"},
			detail: " and tbf (",
		},
		// What cannot be told is taken to be there: Chaos Mesh says what is wrong when it injects.
		"no tc":          {said: "netem 127 sh: tc: not found\n", detail: "tc ended with exit code 127: sh: tc: not found"},
		"no answer":      {said: "", detail: "it did not say anything about netem"},
		"half an answer": {said: "some warning\nnetem 2 no\n", detail: "it did not say anything about tbf"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDocker(t)
			f.write(t, "kernel", tc.said)
			p := &Provider{}
			require.Contains(t, p.Capabilities(), faults.Netem, "nobody has looked")
			require.NoError(t, p.Prepare(t.Context(), cluster.Spec{}))
			require.NoError(t, p.Prepare(t.Context(), cluster.Spec{}))
			_, known := p.kernel.known()
			if known {
				require.Equal(t, 1, tried(t, f), "once")
			}
			for _, scheduler := range schedulers() {
				why, lacks := tc.lacks[scheduler]
				require.Equal(t, !lacks, len(cluster.Missing(p, []string{scheduler})) == 0, scheduler)
				require.Equal(t, lacks, p.WhyNot(scheduler) != "", scheduler)
				require.Contains(t, p.WhyNot(scheduler), why)
			}
			got := find(t, p.Check(t.Context(), cluster.Spec{}, 1), "packet schedulers")
			require.Equal(t, tc.ok, got.OK)
			require.Contains(t, got.Detail, tc.detail)
			require.Equal(t, !tc.ok, got.Hint != "")
			require.Equal(t, tc.ok, got.Required, "a kernel without them is no finding against the machine")
			require.Empty(t, f.containers(t))
		})
	}
}

// TestNoContainer: an engine that cannot run a container of the node image can run no node, and that is known before anything is made.
func TestNoContainer(t *testing.T) {
	for name, tc := range map[string]struct{ exit, said, hint string }{
		"limits":     {"126", "Error: runc create failed: error setting rlimit type 7: operation not permitted", "default_ulimits in containers.conf"},
		"privileges": {"125", "docker: Error response from daemon: privileged mode is incompatible with user namespaces.", "choose another engine"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newDocker(t)
			f.write(t, "run-fails", tc.exit)
			f.write(t, "run-says", tc.said)
			err := (&Provider{}).Prepare(t.Context(), cluster.Spec{})
			require.Equal(t, errs.Infra, errs.PartyOf(err))
			require.ErrorContains(t, err, "no container can be started")
			require.ErrorContains(t, err, tc.said)
			require.Contains(t, errs.HintOf(err), tc.hint)
			got := find(t, (&Provider{}).Check(t.Context(), cluster.Spec{}, 1), "privileged containers")
			require.False(t, got.OK)
			require.True(t, got.Required)
			require.Contains(t, got.Hint, tc.hint)
		})
	}
}

// TestKernelBeforeTheImage: nothing is pulled to try the kernel.
func TestKernelBeforeTheImage(t *testing.T) {
	f := newDocker(t)
	f.remove(t, "image")
	got := find(t, (&Provider{}).Check(t.Context(), cluster.Spec{}, 1), "packet schedulers")
	require.False(t, got.OK)
	require.False(t, got.Required)
	require.Contains(t, got.Detail, "which is not here yet")
	require.Zero(t, tried(t, f))
	err := (&Provider{}).Prepare(t.Context(), cluster.Spec{})
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Zero(t, tried(t, f))
}

// TestKernelScript: every scheduler that is a capability is tried.
func TestKernelScript(t *testing.T) {
	t.Parallel()
	for _, scheduler := range schedulers() {
		require.Contains(t, kernelScript, `"`+scheduler+` `)
		require.Contains(t, faults.CapabilityNames(), scheduler)
	}
}
