package images_test

import (
	"archive/tar"
	"crypto/x509"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/images"
)

// saved returns a function that reads an image back from an archive of the set.
func saved(t *testing.T, s *images.Set) func(ref string) v1.Image {
	t.Helper()
	path := filepath.Join(t.TempDir(), "images.tar")
	require.NoError(t, s.Save(t.Context(), path))
	return func(ref string) v1.Image {
		tag, err := name.NewTag(ref)
		require.NoError(t, err)
		im, err := tarball.ImageFromPath(path, &tag)
		require.NoError(t, err)
		return im
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	open := saved(t, newSet(t))
	for ref, want := range map[string]v1.Config{
		geo2:    {Entrypoint: []string{"/geo"}, User: "65532", ExposedPorts: map[string]struct{}{"8083/tcp": {}, "9464/tcp": {}}},
		mysql:   {Entrypoint: []string{"mysqld"}},
		busybox: {Cmd: []string{"sh"}},
	} {
		file, err := open(ref).ConfigFile()
		require.NoError(t, err)
		want.Env, want.WorkingDir = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, "/"
		require.Equal(t, want, file.Config, ref)
		require.Equal(t, "linux", file.OS)
		require.Equal(t, "amd64", file.Architecture)
		require.Zero(t, file.Created.Unix())
		for _, h := range file.History {
			require.Zero(t, h.Created.Unix())
		}
	}
}

func TestRootFileSystem(t *testing.T) {
	t.Parallel()
	s := newSet(t)
	open := saved(t, s)
	for _, im := range s.List() {
		require.NoError(t, validate.Image(open(im.Ref)), im.Ref)
	}
	root := unpack(t, open(geo2))
	for path, mode := range map[string]int64{"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700, "bin": 0o755, "usr/local/bin": 0o755, "home/nonroot": 0o755, "proc": 0o755} {
		require.Equal(t, byte(tar.TypeDir), root[path].Typeflag, path)
		require.Equal(t, mode, root[path].Mode, path)
	}
	require.Equal(t, 65532, root["home/nonroot"].Uid)
	require.Contains(t, root["etc/passwd"].content, "nonroot:x:65532:65532:")
	require.Contains(t, root["etc/nsswitch.conf"].content, "files dns")
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM([]byte(root["etc/ssl/certs/ca-certificates.crt"].content)))
	for path, n := range root {
		require.Zero(t, n.ModTime.Unix(), path)
		if path != "home/nonroot" {
			require.Zero(t, n.Uid, path)
			require.Zero(t, n.Gid, path)
		}
		require.NotContains(t, path+n.Linkname, "gameday", "the harness is not to be seen in a container")
	}
}

func TestExecutableAndItsNames(t *testing.T) {
	t.Parallel()
	open := saved(t, newSet(t))
	links := func(ref string) map[string]string {
		out := map[string]string{}
		for path, n := range unpack(t, open(ref)) {
			if n.Typeflag == tar.TypeSymlink {
				out[path] = n.Linkname
			}
		}
		return out
	}
	pod, store := "/usr/libexec/pod", "/usr/libexec/mysql"
	require.Equal(t, map[string]string{"geo": pod, "bin/[": pod, "bin/ls": pod, "bin/sh": pod}, links(geo1))
	require.Equal(t, map[string]string{"bin/ls": pod, "bin/sh": pod}, links(busybox))
	require.Equal(t, map[string]string{
		"usr/local/bin/mysqld": store, "bin/mysql": pod, "bin/ls": pod, "bin/sh": pod, "opt/mysql-2": pod,
	}, links(mysql))
	require.Equal(t, map[string]string{"coredns": "/usr/libexec/dns"}, links(coredns), "without a shell there is nothing to exec")

	root := unpack(t, open(geo2))
	require.JSONEq(t, `{"program": "hotel/geo", "variant": "2.3.2"}`, root["usr/libexec/image.json"].content)
	executable := root["usr/libexec/pod"]
	require.Equal(t, int64(0o755), executable.Mode)
	require.Len(t, executable.content, 100_000)
	require.NotContains(t, executable.content, "gameday")
	require.Equal(t, 5000, strings.Index(executable.content, "git.example.com/platform/backend/workloads/apps/hotel/geo.Nearby"))
	require.Contains(t, unpack(t, open(mysql)), "usr/libexec/mysql")
	require.NotContains(t, root, "usr/libexec/mysql")
}
