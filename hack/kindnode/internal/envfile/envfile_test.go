package envfile_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/envfile"
)

func TestUpdate(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "cache", "env")
	none, err := envfile.Read(name)
	require.NoError(t, err)
	require.Empty(t, none)

	require.NoError(t, envfile.Update(name, map[string]string{"DOCKER_HOST": "unix:///run/d.sock", "QUOTED": "it's $HOME", "GONE": ""}))
	require.NoError(t, envfile.Update(name, map[string]string{"IMAGE": "gameday/kindnode:1"}))
	all, err := envfile.Read(name)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"DOCKER_HOST": "unix:///run/d.sock", "IMAGE": "gameday/kindnode:1", "QUOTED": "it's $HOME"}, all)

	said, err := exec.Command("sh", "-c", `. "$0"; sh -c 'printf "%s|%s" "$DOCKER_HOST" "$QUOTED"'`, name).Output()
	require.NoError(t, err)
	require.Equal(t, "unix:///run/d.sock|it's $HOME", string(said), "a shell reads what was written")

	require.NoError(t, envfile.Update(name, map[string]string{"DOCKER_HOST": ""}))
	all, err = envfile.Read(name)
	require.NoError(t, err)
	require.NotContains(t, all, "DOCKER_HOST")
}
