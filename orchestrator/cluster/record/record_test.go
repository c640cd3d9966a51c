package record_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
)

// TestMain plays the supervisor of a cluster when it is asked to.
func TestMain(m *testing.M) {
	name := os.Getenv("RECORD_TEST_SUPERVISE")
	if name == "" {
		os.Exit(m.Run())
	}
	p := provider{fails: os.Getenv("RECORD_TEST_FAILS") != ""}
	if err := record.Supervise(context.Background(), p, cluster.Spec{Name: name}, os.Stdout); err != nil {
		os.Exit(1)
	}
}

// provider makes clusters that are a directory and nothing else.
type provider struct{ fails bool }

func (p provider) Up(_ context.Context, want cluster.Spec) (cluster.Cluster, error) {
	if p.fails {
		return nil, errs.Hint(errs.Newf(errs.Infra, "no room"), "make some")
	}
	dir, err := record.Make(want.Name)
	if err != nil {
		return nil, err
	}
	return &hut{name: want.Name, remove: dir.Remove}, record.Own(dir.Path(), record.Claim{Kind: "hut", Engine: "hands"})
}

type hut struct {
	name   string
	remove func() error
}

func (h *hut) Name() string               { return h.name }
func (*hut) RESTConfig() *rest.Config     { return &rest.Config{} }
func (h *hut) Kubeconfig() string         { return "" }
func (*hut) Done() <-chan struct{}        { return nil }
func (*hut) Err() error                   { return nil }
func (h *hut) Down(context.Context) error { return h.remove() }

func TestList(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	none, err := record.List()
	require.NoError(t, err)
	require.Empty(t, none)

	base := record.BaseDir()
	for _, name := range []string{"mine", "kept", "ownerless", "gone", "other", ".lock"} {
		require.NoError(t, os.MkdirAll(filepath.Join(base, name), 0o700))
	}
	require.NoError(t, record.Own(filepath.Join(base, "mine"), record.Claim{}))
	require.NoError(t, record.Own(filepath.Join(base, "kept"), record.Claim{Kind: "kind", Engine: "podman", Supervised: true}))
	// A process that is not there, and one that has taken the process id of another.
	require.NoError(t, os.WriteFile(filepath.Join(base, "gone", "owner.json"), []byte(`{"pid": 4194305, "start": 1}`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(base, "other", "owner.json"), []byte(`{"pid": 1, "start": 99999999999}`), 0o600))

	got, err := record.List()
	require.NoError(t, err)
	var lines []string
	for _, c := range got {
		lines = append(lines, fmt.Sprint(c.Name, " ", c.Kind, " ", c.Engine, " ", c.Status, " ", c.Supervised))
		require.Equal(t, filepath.Join(base, c.Name, "kubeconfig", "admin"), c.Kubeconfig)
	}
	require.Equal(t, []string{
		"gone embedded  stale false", "kept kind podman running true", "mine embedded  running false", "other embedded  stale false",
		"ownerless embedded  stale false",
	}, lines)

	_, err = record.Find("nobody")
	require.Equal(t, errs.Usage, errs.PartyOf(err))
}

func TestNameTaken(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	dir, err := record.Make("demo")
	require.NoError(t, err)
	_, err = record.Make("demo")
	require.ErrorIs(t, err, os.ErrExist)
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "gameday delete cluster demo")
	require.NoError(t, dir.Remove())
	require.Equal(t, errs.Infra, errs.PartyOf(record.Taken("demo", errs.Infra)))
}

// supervisor is the command line of a supervisor for the cluster called name.
func supervisor(t *testing.T, name string) []string {
	t.Helper()
	t.Setenv("RECORD_TEST_SUPERVISE", name)
	return []string{os.Args[0]}
}

func TestCreateAndDelete(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	argv := supervisor(t, "demo")
	info, err := record.Create(t.Context(), "demo", argv)
	require.NoError(t, err)
	require.Equal(t, "hut", info.Kind)
	require.Equal(t, "hands", info.Engine)
	require.True(t, info.Supervised)
	require.Equal(t, record.Running, info.Status)

	_, err = record.Create(t.Context(), "demo", argv)
	require.ErrorContains(t, err, "it exists (running)")
	require.NoError(t, record.Delete(t.Context(), info, 10*time.Second))
	require.NoDirExists(t, info.Dir)
}

func TestCreateSaysWhyTheSupervisorFailed(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("RECORD_TEST_FAILS", "1")
	_, err := record.Create(t.Context(), "demo", supervisor(t, "demo"))
	require.EqualError(t, err, "create cluster: no room")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Equal(t, "make some", errs.HintOf(err))

	_, err = record.Create(t.Context(), "mute", []string{"/bin/true"})
	require.ErrorContains(t, err, "the supervisor ended without a word")
}

func TestDeleteLeavesTheClusterOfARunAlone(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	c, err := provider{}.Up(t.Context(), cluster.Spec{Name: "run"})
	require.NoError(t, err)
	info, err := record.Find("run")
	require.NoError(t, err)
	err = record.Delete(t.Context(), info, time.Second)
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.DirExists(t, info.Dir)
	require.NoError(t, c.Down(t.Context()))
}

func TestDeleteKillsAnOwnerThatDoesNotEnd(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	dir := filepath.Join(record.BaseDir(), "stuck")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	cmd := exec.Command("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	first := make([]byte, len("ready\n"))
	_, err = out.Read(first)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	require.NoError(t, err)
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	text := fmt.Sprintf(`{"pid": %d, "start": %s, "supervised": true}`, cmd.Process.Pid, fields[19])
	require.NoError(t, os.WriteFile(filepath.Join(dir, "owner.json"), []byte(text), 0o600))
	info, err := record.Find("stuck")
	require.NoError(t, err)
	require.Equal(t, record.Running, info.Status)
	require.NoError(t, record.Delete(t.Context(), info, 100*time.Millisecond))
	require.NoDirExists(t, dir)
	var exit *exec.ExitError
	require.ErrorAs(t, <-ended, &exit)
}
