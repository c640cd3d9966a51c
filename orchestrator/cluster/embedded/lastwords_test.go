package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// numbered are lines with a prefix, numbered from 1.
func numbered(prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s %d\n", prefix, i+1)
	}
	return b.String()
}

func TestLastWords(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ log, first, last string }{
		"short":       {"one\ntwo\n", "one", "two"},
		"long":        {numbered("line", 100), "line 93", "line 100"},
		"very long":   {numbered("line", 100_000), "line 99993", "line 100000"},
		"panic":       {numbered("line", 100) + "panic: no such thing\n\ngoroutine 7 [running]:\n" + numbered("frame", 100), "panic: no such thing", "frame 21"},
		"short panic": {"panic: no such thing\n\ngoroutine 7 [running]:\n", "panic: no such thing", "goroutine 7 [running]:"},
		"fatal error": {"line\nfatal error: concurrent map writes\n" + numbered("frame", 3), "fatal error: concurrent map writes", "frame 3"},
		"word of it":  {"a panic: that was caught\n", "a panic: that was caught", "a panic: that was caught"},
		"empty":       {"", "", ""},
	} {
		path := filepath.Join(t.TempDir(), "log")
		require.NoError(t, os.WriteFile(path, []byte(tc.log), 0o600))
		lines := strings.Split(lastWords(path), "\n")
		require.Equal(t, tc.first, lines[0], name)
		require.Equal(t, tc.last, lines[len(lines)-1], name)
	}
	require.Empty(t, lastWords(filepath.Join(t.TempDir(), "none")))
}
