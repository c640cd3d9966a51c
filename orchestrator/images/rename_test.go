package images

import (
	"crypto/sha256"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestRename(t *testing.T) {
	t.Parallel()
	require.Len(t, neutralPath, len(modulePath), "nothing in an executable may move")
	for name, text := range map[string]string{
		"empty":             "",
		"nothing to do":     "package main",
		"shorter than it":   "git",
		"all of it":         modulePath,
		"twice in a row":    modulePath + modulePath,
		"begun at the end":  "x" + modulePath[:len(modulePath)-1],
		"over two buffers":  strings.Repeat("x", renameBuffer-7) + modulePath + "/workloads/apps/hotel/profile.Serve",
		"ends with buffer":  strings.Repeat("x", renameBuffer-len(modulePath)) + modulePath,
		"begins a buffer":   strings.Repeat("x", renameBuffer) + modulePath,
		"begun, then whole": modulePath[:9] + modulePath + "\x00" + modulePath[:20],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := strings.ReplaceAll(text, modulePath, neutralPath)
			for _, wrap := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.HalfReader, iotest.DataErrReader} {
				got, err := io.ReadAll(rename(wrap(strings.NewReader(text)), modulePath, neutralPath))
				require.NoError(t, err)
				require.Equal(t, sha256.Sum256([]byte(want)), sha256.Sum256(got))
			}
		})
	}
	_, err := io.ReadAll(rename(iotest.ErrReader(io.ErrUnexpectedEOF), modulePath, neutralPath))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
