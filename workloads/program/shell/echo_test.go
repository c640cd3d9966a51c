package shell_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program/shell"
)

// writes keeps what each write was of.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

// TestEcho: a line is written at once, or jobs in the background would print into each other's lines.
func TestEcho(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		script string
		want   writes
	}{
		{`echo one two`, writes{"one two\n"}},
		{`echo`, writes{"\n"}},
		{`echo "a  b" '' c`, writes{"a  b  c\n"}},
		{`echo -n one`, writes{"one"}},
		{`echo -e 'a\tb' c`, writes{"a\tb c\n"}},
		{`echo 'a\tb' 100%d %s`, writes{"a\\tb 100%d %s\n"}},
		{`echo -e 100%d`, writes{"100%d\n"}},
		{`echo -e -E 'a\tb'`, writes{"a\\tb\n"}},
		{`echo -- -n`, writes{"-- -n\n"}},
		{`echo -x`, writes{"-x\n"}},
		{`v=$(echo a b); echo "$v"`, writes{"a b\n"}},
		{`echo() { printf 'mine: %s\n' "$1"; }; echo one`, writes{"mine: one\n"}},
		{`f() { echo() { printf mine; }; }; f; (echo one)`, writes{"mine"}},
	} {
		t.Run(tc.script, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			var got writes
			b.sys.Stdout = &got
			require.NoError(t, shell.Run(t.Context(), b.sys, []string{"sh", "-c", tc.script}))
			require.Equal(t, tc.want, got)
		})
	}
}
