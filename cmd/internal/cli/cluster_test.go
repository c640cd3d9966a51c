package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/cmd/internal/cli"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/existing"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
)

func TestClusters(t *testing.T) {
	t.Parallel()
	clusters := map[string]record.Info{
		"kept": {Name: "kept", Status: "running", Supervised: true}, "run": {Name: "run", Status: "running"}, "old": {Name: "old", Status: "stale"},
	}
	var argv []string
	backend := cli.Clusters{
		List: func() ([]record.Info, error) {
			return []record.Info{clusters["kept"], clusters["old"], clusters["run"]}, nil
		},
		Create: func(_ context.Context, want cluster.Spec, line []string) (record.Info, error) {
			argv = line
			return record.Info{Name: want.Name, Status: "running", Kubeconfig: "/rt/" + want.Name}, nil
		},
	}
	var deleted []string
	backend.Delete = func(_ context.Context, info record.Info) error {
		if info.Name == "old" {
			return errs.Newf(errs.Infra, "remove cluster old: busy")
		}
		deleted = append(deleted, info.Name)
		return nil
	}
	play := func(want int, args ...string) *process {
		p := newProcess(t, args...)
		p.Backend.Clusters = backend
		require.Equal(t, want, p.main(), p.err.String())
		return p
	}
	require.Equal(t, "/rt/demo\n", play(0, "create", "cluster", "demo", "--nodes", "5").out.String())
	require.Equal(t, []string{"/bin/gameday", "supervise", "demo", "--nodes", "5", "--fidelity", "fast"}, argv)
	dir := t.TempDir()
	nodes, settings := filepath.Join(dir, "nodes.yaml"), filepath.Join(dir, "settings.yaml")
	require.NoError(t, os.WriteFile(nodes, []byte("apiVersion: gameday.dev/v1\nkind: Cluster\nnodes: [{count: 2}]\n"), 0o600))
	require.NoError(t, os.WriteFile(settings, []byte("output: json\n"), 0o600))
	require.Contains(t, play(0, "create", "cluster", "demo", "-f", nodes, "--config", settings).out.String(), `"kubeconfig": "/rt/demo"`)
	require.Equal(t, []string{"/bin/gameday", "supervise", "demo", "--file", nodes, "--fidelity", "fast"}, argv)
	play(2, "create", "cluster", "Not_A_Name")
	play(2, "create", "cluster", "demo", "--nodes", "0")
	require.Contains(t, play(0, "delete", "cluster", "nothing").err.String(), `cluster "nothing" does not exist`)
	play(2, "delete", "cluster", "../x")
	play(2, "delete", "cluster", "kept", "--all")
	p := play(6, "delete", "cluster", "--all")
	require.Equal(t, []string{"kept"}, deleted, "the cluster of a run is left alone, and one failure does not stop the others")
	require.Contains(t, p.err.String(), "error: remove cluster old: busy")
	require.Contains(t, play(0, "describe", "cluster", "kept").out.String(), "Status:  running")
}

func TestKindClusters(t *testing.T) {
	t.Parallel()
	var deleted []string
	silent := error(nil)
	backend := cli.Clusters{
		List: func() ([]record.Info, error) {
			return []record.Info{
				{Name: "demo", Kind: "kind", Engine: "docker", Status: record.Running, Supervised: true}, {Name: "kept", Kind: "embedded", Status: record.Running, Supervised: true},
			}, nil
		},
		Left: func(context.Context) ([]record.Info, error) {
			return []record.Info{{Name: "k-1", Kind: "kind", Engine: "docker", Status: record.Stale}}, silent
		},
		Others: func(context.Context) []string { return []string{"gameday-0-other"} },
		Delete: func(_ context.Context, info record.Info) error {
			deleted = append(deleted, info.Kind+" "+info.Name)
			return nil
		},
		Prune: func(context.Context) error { deleted = append(deleted, "networks"); return nil },
	}
	play := func(want int, args ...string) *process {
		p := newProcess(t, args...)
		p.Backend.Clusters = backend
		require.Equal(t, want, p.main(), p.err.String())
		return p
	}
	require.Equal(t, "NAME\tKIND\tSTATUS\tCREATED\tKUBECONFIG\ndemo\tkind\trunning\t\t\nk-1\tkind\tstale\t\t\nkept\tembedded\trunning\t\t\n", play(0, "get", "clusters").out.String())
	require.Equal(t, "kept\n", play(0, "get", "clusters", "--cluster", "embedded", "-o", "name").out.String())
	require.Contains(t, play(0, "describe", "cluster", "demo").out.String(), "Engine:  docker")
	play(2, "get", "clusters", "--cluster", "existing")

	p := play(0, "delete", "cluster", "--all", "--cluster", "kind")
	require.Equal(t, []string{"kind demo", "kind k-1", "networks"}, deleted)
	require.Contains(t, p.err.String(), "left alone: gameday-0-other")
	play(0, "delete", "cluster", "kept")
	require.Equal(t, "embedded kept", deleted[len(deleted)-1])

	backend.CleanUp = func(_ context.Context, p *existing.Provider) ([]string, error) {
		return []string{"namespace hotel of " + p.Context}, nil
	}
	require.Contains(t, play(0, "delete", "cluster", "--cluster", "existing", "--context", "staging").err.String(), "found on context staging: namespace hotel of staging")
	play(2, "delete", "cluster", "--cluster", "existing", "--context", "staging", "--all")
	play(2, "delete", "cluster", "--cluster", "existing")
	play(2, "delete", "cluster", "demo", "--context", "staging")

	silent = errs.Newf(errs.Infra, "docker does not answer")
	require.Contains(t, play(0, "get", "clusters").err.String(), "were not looked at: docker does not answer")
	require.Contains(t, play(6, "delete", "cluster", "--all").err.String(), "error: docker does not answer", "there may be more containers")
	play(0, "delete", "cluster", "--all", "--cluster", "embedded")
}

func TestKindClusterIsCreated(t *testing.T) {
	t.Parallel()
	var argv []string
	var want cluster.Spec
	checked := false
	play := func(code int, args ...string) *process {
		p := newProcess(t, append([]string{"create", "cluster", "demo"}, args...)...)
		p.Cwd = "/home"
		p.Backend.Doctor = func(_ context.Context, o doctor.Options) []doctor.Check {
			checked = o.Cluster != nil && o.Flags == "--cluster kind"
			return nil
		}
		p.Backend.Clusters.Create = func(_ context.Context, w cluster.Spec, line []string) (record.Info, error) {
			want, argv = w, line
			return record.Info{Name: w.Name, Kubeconfig: "/rt/demo"}, nil
		}
		require.Equal(t, code, p.main(), p.err.String())
		return p
	}
	play(0, "--cluster", "kind", "--engine", "podman", "--node-image", "mine:1", "--chaos-mesh-images", "registry.example/mirror", "--nodes", "2")
	require.True(t, checked, "the engine is looked at, not this machine")
	require.Equal(t, 2, want.Nodes)
	require.Equal(t, []string{
		"/bin/gameday", "supervise", "demo", "--nodes", "2", "--fidelity", "fast", "--cluster", "kind", "--engine", "podman", "--node-image", "mine:1",
		"--chaos-mesh-images", "registry.example/mirror",
	}, argv)
	config := filepath.Join(t.TempDir(), "kind.yaml")
	require.NoError(t, os.WriteFile(config, []byte("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"), 0o600))
	play(0, "--cluster", "kind", "--kind-config", config)
	require.Zero(t, want.Nodes)
	require.Equal(t, []string{"/bin/gameday", "supervise", "demo", "--fidelity", "fast", "--cluster", "kind", "--kind-config", config}, argv)

	require.Contains(t, play(2, "--cluster", "kind", "--kind-config", config, "--nodes", "2").err.String(), "give --kind-config, or --nodes or --file, not both")
	require.Contains(t, play(2, "--cluster", "existing").err.String(), "a cluster that is there is not created")
	require.Contains(t, play(2, "--engine", "docker").err.String(), "--engine goes with --cluster kind, not with --cluster embedded")
	require.Contains(t, play(2, "--cluster", "kind", "--engine", "dokcer").err.String(), `did you mean "docker"?`)
}

func TestFlagsOfKindsOfClusters(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"kind's on embedded":     {[]string{"--node-image", "x"}, "--node-image goes with --cluster kind, not with --cluster embedded"},
		"existing's on kind":     {[]string{"--cluster", "kind", "--registry", "x"}, "--registry goes with --cluster existing, not with --cluster kind"},
		"kind's on existing":     {[]string{"--cluster", "existing", "--context", "c", "--fresh"}, "--fresh goes with --cluster kind, not with --cluster existing"},
		"Chaos Mesh on embedded": {[]string{"--chaos-mesh-chart", "x"}, "--chaos-mesh-chart goes with --cluster kind or existing, not with --cluster embedded"},
		"no context":             {[]string{"--cluster", "existing"}, "--cluster existing needs --context"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, append([]string{"run", "smoke", "--agent", "nop"}, tc.args...)...) // Its backend fails the test when something is started.
			require.Equal(t, 2, p.main())
			require.Contains(t, p.err.String(), tc.want)
		})
	}
}
