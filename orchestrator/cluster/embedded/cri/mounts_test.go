package cri

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMountSourcesStayOnTheNode(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	root, kubelet := filepath.Join(base, "root"), filepath.Join(base, "kubelet")
	for _, dir := range []string{filepath.Join(root, "disk"), filepath.Join(kubelet, "pods"), filepath.Join(base, "secret")} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	for name, to := range map[string]string{
		filepath.Join(root, "absolute"):        filepath.Join(base, "secret"),
		filepath.Join(root, "relative"):        "../secret",
		filepath.Join(kubelet, "pods/bound"):   filepath.Join(root, "disk"),
		filepath.Join(kubelet, "pods/outside"): filepath.Join(base, "secret"),
	} {
		require.NoError(t, os.Symlink(to, name))
	}
	c := &container{r: &Runtime{cfg: Config{HostPathDir: root, Mountable: []string{kubelet, root}}}}
	for path, want := range map[string][2]string{
		"/etc":                               {root + "/etc", root},
		"/":                                  {root, root},
		"/../../../etc/passwd.d":             {root + "/etc/passwd.d", root},
		"/relative":                          {root + "/secret", root},
		"/absolute":                          {root + base + "/secret", root},
		root + "/absolute":                   {root + base + "/secret", root},
		root:                                 {root, root},
		filepath.Join(kubelet, "pods"):       {kubelet + "/pods", kubelet},
		filepath.Join(kubelet, "pods/bound"): {root + "/disk", root},
		base + "/secret":                     {root + base + "/secret", root},
		kubelet + "/../secret":               {root + base + "/secret", root},
	} {
		at, within, err := c.source(path)
		require.NoError(t, err, path)
		require.Equal(t, want, [2]string{at, within}, path)
		require.DirExists(t, at)
	}
	_, _, err = c.source(filepath.Join(kubelet, "pods/outside"))
	require.ErrorContains(t, err, "leads out of the node")
	left, err := os.ReadDir(filepath.Join(base, "secret"))
	require.NoError(t, err)
	require.Empty(t, left)
}
