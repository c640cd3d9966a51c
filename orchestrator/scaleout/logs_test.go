package scaleout

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestTail(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 20_000)
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":  {"", ""},
		"less":     {"abc", "abc"},
		"as much":  {"abcdefgh", "abcdefgh"},
		"more":     {"abcdefghi", "bcdefghi"},
		"far more": {long + "the end.", "the end."},
	} {
		got, err := tail(strings.NewReader(tc.text), 8)
		require.NoError(t, err, name)
		require.Equal(t, tc.want, string(got), name)
		got, err = tail(iotest.OneByteReader(bytes.NewReader([]byte(tc.text))), 8)
		require.NoError(t, err, name)
		require.Equal(t, tc.want, string(got), name)
	}
	broken := errors.New("connection reset")
	got, err := tail(io.MultiReader(strings.NewReader("abcdefghi"), iotest.ErrReader(broken)), 8)
	require.ErrorIs(t, err, broken)
	require.Equal(t, "bcdefghi", string(got), "what came before is kept")
}
