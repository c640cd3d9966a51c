//go:build kind

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster/kind"
)

// step is one part of the test on kind clusters.
type step struct {
	name string
	// estimate is about how long it takes on a machine with two slow cores.
	estimate time.Duration
	// core steps are played however little time is left; others only where they fit into it, in their order: what is first is played by default.
	// CI names those that it plays.
	core bool
	run  func(t *testing.T, b budget)
}

// steps are all steps, what matters most and what fails soonest first.
func steps() []step {
	plain := func(run func(t *testing.T)) func(*testing.T, budget) {
		return func(t *testing.T, _ budget) { t.Helper(); run(t) }
	}
	return []step{
		{"machine", time.Minute, true, plain(machine)},
		{"conformance", 13 * time.Minute, true, plain(conformance)},
		{"partition", 10 * time.Minute, false, plain(partition)},
		{"harness-killed", 4 * time.Minute, false, plain(harnessKilled)},
		{"existing", 7 * time.Minute, false, plain(existingCluster)},
		{"daemon-killed", 5 * time.Minute, false, plain(daemonKilled)},
		{"control-plane-killed", 4 * time.Minute, false, plain(controlPlaneKilled)},
		{"worker-killed", 8 * time.Minute, false, plain(workerKilled)},
		{"interrupted", 4 * time.Minute, false, plain(harnessInterrupted)},
		{"smoke", smokeFirst + smokeEach, false, smoke},
	}
}

// TestE2E plays the steps in order, as far as they fit into the time that GAMEDAY_E2E_DEADLINE leaves, and shows what each took. With
// -failfast, the first failure is the last step.
func TestE2E(t *testing.T) {
	b, err := readBudget(os.Getenv("GAMEDAY_E2E_DEADLINE"), time.Now)
	require.NoError(t, err)
	var entries []entry
	for _, s := range steps() {
		result, began := "not begun", time.Now()
		t.Run(s.name, func(t *testing.T) {
			began = time.Now()
			t.Cleanup(func() {
				switch {
				case t.Failed():
					result = "FAILED"
				case t.Skipped():
					result = "left out"
				default:
					result = "passed"
				}
			})
			if why := b.lacks(s.estimate); why != "" && !s.core {
				t.Skip("left out: " + why + "; play it with: make e2e-kind BUDGET=0 ARGS='-run TestE2E/" + s.name + "'")
			}
			s.run(t, b)
		})
		entries = append(entries, entry{s.name, result, time.Since(began)})
		t.Logf("%s: %s after %s", s.name, result, time.Since(began).Round(time.Second))
	}
	t.Log("\n" + table(entries))
}

// machine says what this machine cannot do, before minutes are spent on it.
func machine(t *testing.T) {
	t.Log(docker(t, "info", "--format", "docker {{.ServerVersion}}, control groups of version {{.CgroupVersion}}"))
	missing := lacks(t)
	for what, reason := range missing {
		t.Logf("the kernel of this machine has no %s: faults that need it are not played (%s)", what, reason)
	}
	if len(missing) == 0 {
		t.Log("the kernel of this machine has everything that the faults need")
	}
	if others := kind.Others(t.Context()); len(others) > 0 {
		t.Logf("others have clusters here, which take their share of the machine: %s", strings.Join(others, ", "))
	}
}
