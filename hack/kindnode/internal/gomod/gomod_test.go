package gomod_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/gomod"
)

// module makes one without dependencies, with a command hello.
func module(t *testing.T) gomod.Module {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	write("go.mod", "module example.com/m\n\ngo 1.26\n")
	write("go.sum", "")
	write("hello/main.go", "package main\n\nvar who = \"nobody\"\n\nfunc main() { println(\"hello\", who) }\n")
	return gomod.Module(dir)
}

func TestBuild(t *testing.T) {
	t.Parallel()
	m, out := module(t), t.TempDir()
	require.NoError(t, m.Build(t.Context(), out, gomod.Build{Packages: []string{"example.com/m/hello"}, LDFlags: "-X main.who=world"}))
	said, err := exec.Command(filepath.Join(out, "hello")).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "hello world\n", string(said))

	require.ErrorContains(t, m.Build(t.Context(), out, gomod.Build{Packages: []string{"example.com/m/bye"}}), "example.com/m/bye")
}

func TestInputs(t *testing.T) {
	t.Parallel()
	m := module(t)
	before, err := m.Inputs(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(string(m), "go.sum"), []byte("changed\n"), 0o644))
	after, err := m.Inputs(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, before, after)
	require.NotEqual(t, gomod.Build{Tags: "a"}.Inputs(), gomod.Build{LDFlags: "a"}.Inputs())

	require.NoError(t, os.Remove(filepath.Join(string(m), "go.sum")))
	_, err = m.Inputs(t.Context())
	require.ErrorContains(t, err, "go mod tidy")
}

// TestPinned reads the modules of this project: every one requires what its name says.
func TestPinned(t *testing.T) {
	t.Parallel()
	for dir, path := range map[string]string{
		"kubernetes": "k8s.io/kubernetes", "etcd": "go.etcd.io/etcd/server/v3", "coredns": "github.com/coredns/coredns",
		"containerd": "github.com/containerd/containerd/v2", "cni": "github.com/containernetworking/plugins",
		"crictl": "sigs.k8s.io/cri-tools", "kind": "sigs.k8s.io/kind", "chaosmesh": "github.com/chaos-mesh/chaos-mesh",
	} {
		version, err := gomod.Module(filepath.Join("..", "..", "modules", dir)).Version(t.Context(), path)
		require.NoError(t, err)
		require.Regexp(t, `^v\d+\.\d+\.\d+`, version)
	}
	_, err := module(t).Version(t.Context(), "example.com/other")
	require.ErrorContains(t, err, "does not require example.com/other")
}
