package orchestrator

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads"
)

func TestCompareInvariants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expect, before, now string
		held                bool
	}{
		"empty holds":                 {"empty", "", " \n", true},
		"empty does not":              {"empty", "", "7 2027-01-01", false},
		"unchanged holds":             {"unchanged", "a\nb\n", "a\nb", true},
		"unchanged does not":          {"unchanged", "a", "b", false},
		"nondecreasing holds":         {"nondecreasing", "3 4", "3 9", true},
		"nondecreasing lost some":     {"nondecreasing", "3 4", "3 3", false},
		"nondecreasing lost a line":   {"nondecreasing", "3\n4", "3", false},
		"nondecreasing no integer":    {"nondecreasing", "3", "ERROR 1146", false},
		"unknown expectation is lost": {"sometimes", "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held, detail := compare(workloads.Invariant{Name: "x", Expect: c.expect}, c.before, c.now)
			require.Equal(t, c.held, held, detail)
			require.Equal(t, held, detail == "")
		})
	}
}
