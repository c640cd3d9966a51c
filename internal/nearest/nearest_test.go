package nearest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/nearest"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	known := []string{"oracle", "nop", "random", "playbook", "hotel-wrong-target-port"}
	for _, tc := range []struct{ name, want string }{
		{"orcale", "oracle"},
		{"Oracle", "oracle"},
		{"playbok", "playbook"},
		{"wrong-target", "hotel-wrong-target-port"},
		{"zzzzzzzz", ""},
		{"", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, nearest.Match(tc.name, known))
		})
	}
}

func TestUnknownListsSorted(t *testing.T) {
	t.Parallel()
	err := nearest.Unknown("agent", "npo", []string{"oracle", "nop", "nop"})
	require.EqualError(t, err, `unknown agent "npo"`)
	require.Equal(t, `did you mean "nop"? known: nop, oracle`, err.Hint())
	require.Equal(t, "there is no agent at all", nearest.Unknown("agent", "x", nil).Hint())
}
