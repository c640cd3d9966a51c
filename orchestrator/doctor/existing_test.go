package doctor_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster/existing"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
)

// TestExistingCluster: what is looked at is the cluster, and of this machine only what is used.
func TestExistingCluster(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, []byte(`{"apiVersion":"v1","kind":"Config","clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}],
		"contexts":[{"name":"staging","context":{"cluster":"c"}}]}`), 0o600))
	p := &existing.Provider{Kubeconfig: file, Context: "staging", Registry: "ghcr.io/me/x"}
	o := doctor.Options{
		OutDir: t.TempDir(), Subject: "context staging", Flags: "--cluster existing --context staging",
		Cluster: p.Check,
	}
	checks := doctor.Run(t.Context(), o)
	names := map[string]bool{}
	for _, c := range checks {
		names[c.Name] = true
	}
	require.Equal(t, map[string]bool{
		"context": true, "not production": true, "server": true, "registry": true, "run directory": true, "temporary directory": true,
	}, names)
	require.False(t, doctor.Healthy(checks))
	err := o.Refuse(checks)
	require.ErrorContains(t, err, "context staging is not ready: server: http://127.0.0.1:1 cannot be reached")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "gameday doctor --cluster existing --context staging")
	require.EqualError(t, doctor.Options{}.Refuse([]doctor.Check{{Name: "a", Required: true, Detail: "none"}}), "this machine is not ready: a: none")
}
