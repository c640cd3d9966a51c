package rootfs_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/rootfs"
)

func TestMirror(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, content, want string }{
		"deb822": {
			"sources.list.d/debian.sources", "Types: deb\n# URIs: http://old/debian\nURIs: http://near/debian\nSuites: bookworm\n", "http://near/debian",
		},
		"one line": {"sources.list", "deb [signed-by=/k.gpg] https://near/mirror/debian/ bookworm main\n", "https://near/mirror/debian"},
		"not for security": {
			"sources.list.d/debian.sources", "URIs: http://near/debian-security\n\nURIs: http://near/debian\n", "http://near/debian",
		},
		"another distribution": {"sources.list", "deb http://archive.ubuntu.com/ubuntu noble main\n", rootfs.DefaultMirror},
		"nothing":              {"sources.list", "", rootfs.DefaultMirror},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, rootfs.Mirror(fstest.MapFS{c.file: {Data: []byte(c.content)}}))
		})
	}
}
