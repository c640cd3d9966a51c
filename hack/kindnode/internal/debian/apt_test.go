package debian_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/debian"
)

func TestMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "libc.a"), nil, 0o644))
	require.Equal(t, []string{"libother-dev", "no-such-package"}, debian.Missing(
		debian.Need{Command: "sh", Package: "dash"},
		debian.Need{Command: "no-such-command", Package: "no-such-package"},
		debian.Need{Command: "no-such-command-either", Package: "no-such-package"},
		debian.Need{File: filepath.Join(dir, "*.a"), Package: "libc6-dev"},
		debian.Need{File: filepath.Join(dir, "*.so"), Package: "libother-dev"},
	))
}

func TestInstallNothing(t *testing.T) {
	t.Parallel()
	require.NoError(t, debian.Install(t.Context(), nil))
}
