package existing

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gameday-bench/gameday/internal/errs"
)

func TestTheContextIsNamed(t *testing.T) {
	t.Parallel()
	file := kubeconfig(t, "https://192.0.2.1:6443", "elsewhere", "staging")
	target, err := (&Provider{Kubeconfig: file, Context: "staging"}).Target()
	require.NoError(t, err)
	require.Equal(t, Target{Context: "staging", Cluster: "c-staging", Server: "https://192.0.2.1:6443"}, target)
	require.Equal(t, "staging: cluster c-staging at https://192.0.2.1:6443", target.String())
	require.Equal(t, "context staging: cluster c-staging at https://192.0.2.1:6443", (&Provider{Kubeconfig: file, Context: "staging"}).Describe())
	require.Contains(t, (&Provider{Kubeconfig: file, Context: "x"}).Describe(), "context x: read kubeconfig")

	garbage := filepath.Join(t.TempDir(), "garbage")
	require.NoError(t, os.WriteFile(garbage, []byte("kind: [\n"), 0o600))
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for name, tc := range map[string]struct {
		file, context string
		party         errs.Party
		want, hint    string
	}{
		"no context":      {file, "", errs.Usage, "the current one is never taken", "add --context NAME; known: elsewhere, staging"},
		"unknown context": {file, "stagin", errs.Infra, `unknown context "stagin"`, `did you mean "staging"?`},
		"no file":         {"/nonexistent", "staging", errs.Infra, "read kubeconfig", "--kubeconfig FILE"},
		"garbage":         {garbage, "staging", errs.Infra, "read kubeconfig", "--kubeconfig FILE"},
		"empty":           {empty, "staging", errs.Infra, "there is no context in " + empty, "--kubeconfig FILE"},
	} {
		_, err := (&Provider{Kubeconfig: tc.file, Context: tc.context}).Target()
		require.ErrorContains(t, err, tc.want, name)
		require.Contains(t, errs.HintOf(err), tc.hint, name)
		require.Equal(t, tc.party, errs.PartyOf(err), name)
	}
}

// TestKubeconfigIsACopy: what is handed out has one context, and the user's own file is not touched.
func TestKubeconfigIsACopy(t *testing.T) {
	t.Parallel()
	file := kubeconfig(t, "https://192.0.2.1:6443", "elsewhere", "staging")
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	a, err := (&Provider{Kubeconfig: file, Context: "staging"}).access()
	require.NoError(t, err)
	copied := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, a.write(copied))
	got, err := clientcmd.LoadFromFile(copied)
	require.NoError(t, err)
	require.Equal(t, "staging", got.CurrentContext)
	require.Len(t, got.Contexts, 1)
	require.Len(t, got.Clusters, 1)
	info, err := os.Stat(copied)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

func TestLooksLikeProduction(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"prod": true, "eu-prod-1": true, "production": true, "PROD": true, "k8s.prd.example.com": true, "euprd2": true, "live": true, "shop-live-2": true,
		"preprod": true, "product-production": true,
		"staging": false, "product-catalogue": false, "delivery": false, "liveness": false, "kind-kind": false, "192.0.2.1": false, "": false,
	} {
		require.Equal(t, want, LooksLikeProduction(name), name)
	}
	require.Equal(t, "api.prod.example.com", Target{Context: "a", Cluster: "b", Server: "https://api.prod.example.com:6443/x"}.production())
	require.Equal(t, "shop-live", Target{Context: "a", Cluster: "shop-live", Server: "https://x"}.production())
	require.Empty(t, Target{Context: "a", Cluster: "b", Server: "https://x"}.production())
}
