// Package kindtest tells a test on kind clusters which of them are its own: a container engine may have clusters of others, too, which are to be
// left alone.
package kindtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster/kind"
)

// OwnersVariable names a file to which the tag of every owner is added, one on each line. hack/e2e-kind.sh sets it, and removes what these
// owners have left.
const OwnersVariable = "GAMEDAY_E2E_OWNERS"

var (
	mu     sync.Mutex
	owners []string
)

// RuntimeDir makes a directory for XDG_RUNTIME_DIR that is gone after the test, and notes that the clusters whose records are there are of this
// process. It is safe for concurrent use.
func RuntimeDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gk-") //nolint:usetesting // The name of t.TempDir is too long for the sockets below it.
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	tag := kind.OwnerTag(filepath.Join(dir, "gameday"))
	mu.Lock()
	defer mu.Unlock()
	owners = append(owners, tag)
	if file := os.Getenv(OwnersVariable); file != "" {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		_, err = fmt.Fprintln(f, tag)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	return dir
}

// Owns says whether a container, or a cluster as kind knows it, is of this process: by its name.
func Owns(name string) bool {
	mu.Lock()
	defer mu.Unlock()
	for _, tag := range owners {
		if strings.HasPrefix(name, "gameday-"+tag+"-") {
			return true
		}
	}
	return false
}
