package random_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/random"
)

func TestHex(t *testing.T) {
	t.Parallel()
	require.Regexp(t, "^[0-9a-f]{32}$", random.Hex(16))
	first, second := random.Hex(16), random.Hex(16)
	require.NotEqual(t, first, second)
}
