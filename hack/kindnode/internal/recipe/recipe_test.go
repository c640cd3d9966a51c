package recipe

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/layer"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/rootfs"
)

// source is the directory that this package is in.
func source(t *testing.T) Source {
	t.Helper()
	s, err := FindSource(".")
	require.NoError(t, err)
	return s
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
}

func TestFindSource(t *testing.T) {
	t.Parallel()
	s := source(t)
	require.FileExists(t, s.Path("files", "default-cni.yaml"))
	above, err := FindSource(s.Path("..", ".."))
	require.NoError(t, err)
	require.Equal(t, s, above, "also from the project's root")
	_, err = FindSource(t.TempDir())
	require.ErrorContains(t, err, "-source")
}

func TestDigestLeavesOutTests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "cmd/a/main.go", "package main")
	first, err := Source(dir).Digest("cmd")
	require.NoError(t, err)
	write(t, dir, "cmd/a/main_test.go", "package main")
	same, err := Source(dir).Digest("cmd")
	require.NoError(t, err)
	require.Equal(t, first, same)
	write(t, dir, "cmd/a/main.go", "package main // changed")
	other, err := Source(dir).Digest("cmd")
	require.NoError(t, err)
	require.NotEqual(t, first, other)
}

func TestPlan(t *testing.T) {
	t.Parallel()
	plan := func(suite string) string {
		p, err := New(t.Context(), Options{Source: source(t), Results: t.TempDir(), Debian: rootfs.Debian{Suite: suite}})
		require.NoError(t, err)
		require.NotEmpty(t, p.Digest(Chart))
		require.NotEmpty(t, p.Digest(ChaosImages))
		return Tag(p)
	}
	require.Regexp(t, `^gameday/kindnode:[0-9a-f]{12}$`, plan("bookworm"))
	require.Equal(t, plan("bookworm"), plan("bookworm"))
	require.NotEqual(t, plan("bookworm"), plan("trixie"))
}

func TestReferences(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string][2]string{
		"registry.k8s.io/kube-apiserver:v1.35.4":  {"kube-apiserver", "v1.35.4"},
		"registry.k8s.io/coredns/coredns:v1.13.1": {"coredns", "v1.13.1"},
		"localhost:5000/etcd:3.6.6-0":             {"etcd", "3.6.6-0"},
	} {
		require.Equal(t, want, [2]string{component(ref), version(ref)})
	}
	_, err := (&recipe{}).image("registry.k8s.io/novelty:v1", nil, nil)
	require.ErrorContains(t, err, "registry.k8s.io/novelty:v1")
}

func TestVersionsFit(t *testing.T) {
	t.Parallel()
	r := &recipe{Options: Options{Source: source(t)}, version: "v1.35.4"}
	// What kubeadm of that release lists.
	require.NoError(t, r.checkVersions(t.Context(), []string{"registry.k8s.io/coredns/coredns:v1.13.1", "registry.k8s.io/etcd:3.6.6-0"}))
	err := r.checkVersions(t.Context(), []string{"registry.k8s.io/etcd:3.7.0-0"})
	require.ErrorContains(t, err, "modules/etcd/go.mod has v3.6.6")
}

func TestStamp(t *testing.T) {
	t.Parallel()
	flags := stamp("v1.35.4")
	for _, want := range []string{"gitVersion=v1.35.4", "gitMajor=1 ", "gitMinor=35 ", "gitTreeState=clean"} {
		require.Contains(t, flags, "-X k8s.io/component-base/version."+want)
	}
}

func TestSandboxImage(t *testing.T) {
	t.Parallel()
	ref, err := sandboxImage("[plugins]\n  sandbox_image = \"registry.k8s.io/pause:3.10\"\n")
	require.NoError(t, err)
	require.Equal(t, "registry.k8s.io/pause:3.10", ref)
	_, err = sandboxImage("version = 2")
	require.Error(t, err)
}

func TestChaosRefs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "values.yaml", `
images: {registry: ghcr.io, tag: v2.8.4}
controllerManager:
  image: {registry: "", repository: chaos-mesh/chaos-mesh, tag: ""}
chaosDaemon:
  image: {registry: example.com, repository: daemon, tag: v1}
`)
	refs, err := readChaosRefs(dir)
	require.NoError(t, err)
	require.Equal(t, chaosRefs{"ghcr.io/chaos-mesh/chaos-mesh:v2.8.4", "example.com/daemon:v1"}, refs)
	write(t, dir, "values.yaml", "images: {registry: ghcr.io}\n")
	_, err = readChaosRefs(dir)
	require.ErrorContains(t, err, "needs registry, repository and tag")
}

func TestChangeSpec(t *testing.T) {
	t.Parallel()
	changed, err := changeSpec([]byte(`{"process": {"args": ["sh"], "rlimits": [{"type": "RLIMIT_NOFILE"}]}, "big": 9223372036854775807,
		"hooks": {"createContainer": [{"path": "/first"}]}}`))
	require.NoError(t, err)
	require.JSONEq(t, `{"process": {"args": ["sh"]}, "big": 9223372036854775807,
		"hooks": {"createContainer": [{"path": "/first"}, {"path": "/kind/bin/mount-product-files.sh"}]}}`, changed)
	require.Contains(t, changed, "9223372036854775807")

	changed, err = changeSpec([]byte(`{"process": {}}`))
	require.NoError(t, err)
	require.True(t, json.Valid([]byte(changed)))
	require.Contains(t, changed, "mount-product-files.sh")
	_, err = changeSpec([]byte(`{}`))
	require.Error(t, err)
}

func TestLeft(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"dev": false, "dev/null": true, "usr/share/doc/bash/README": true, "usr/share/document": false, "etc/machine-id": true, "etc/passwd": false,
		"etc/systemd/system/multi-user.target.wants/cron.service":                        true,
		"etc/systemd/system/dbus.service":                                                false,
		"usr/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service":     true,
		"usr/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup-dev.service": false,
		"usr/lib/systemd/system/sockets.target.wants/systemd-udevd-kernel.socket":        true,
	} {
		require.Equal(t, want, left(name), name)
	}
}

func TestKindEntries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "usr/local/bin/entrypoint", "#!/bin/bash")
	write(t, dir, "kind/bin/hook.sh", "#!/bin/bash")
	write(t, dir, "etc/crictl.yaml", "runtime-endpoint: x")
	write(t, dir, "etc/systemd/system/kubelet.service.d/11-kind.conf", "[Service]")
	write(t, dir, "etc/systemd/system/containerd-fuse-overlayfs.service", "[Unit]")
	_, err := kindEntries(dir)
	require.ErrorContains(t, err, "containerd's configuration")

	write(t, dir, "etc/containerd/config.toml", "version = 2\n  restrict_oom_score_adj = false\n")
	entries, err := kindEntries(dir)
	require.NoError(t, err)
	got := map[string]layer.Entry{}
	for _, e := range entries {
		got[e.Path] = e
	}
	require.Len(t, got, 5)
	require.EqualValues(t, 0o755, got["kind/bin/hook.sh"].Mode)
	require.EqualValues(t, 0o644, got["etc/systemd/system/kubelet.service.d/11-kind.conf"].Mode)
	require.Equal(t, "version = 2\n  restrict_oom_score_adj = true\n", got[containerdConfig].Text)

	write(t, dir, "etc/containerd/config.toml", "version = 9\n")
	_, err = kindEntries(dir)
	require.ErrorContains(t, err, "restrict_oom_score_adj")
}

// TestManifestsNameTheStandIns holds files/*.yaml to what is built.
func TestManifestsNameTheStandIns(t *testing.T) {
	t.Parallel()
	for name, image := range map[string]string{"default-cni.yaml": kindnetImage, "default-storage.yaml": localPathImage} {
		data, err := os.ReadFile(source(t).Path("files", name))
		require.NoError(t, err)
		require.Contains(t, string(data), "image: "+image+"\n")
	}
}
