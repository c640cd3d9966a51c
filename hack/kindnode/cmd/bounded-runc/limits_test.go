package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestApply(t *testing.T) {
	t.Parallel()
	score := -100
	all, some := limits{}, limits{lacks: []string{"CAP_SYS_RESOURCE", "CAP_BPF"}, score: &score}
	for name, c := range map[string]struct {
		limits      limits
		bundle      bool
		given, want string
	}{
		"bundle": {
			some, true,
			`{"ociVersion":"1.0","process":{"args":["sh"],"capabilities":{"bounding":["CAP_KILL","CAP_BPF"],"effective":["CAP_SYS_RESOURCE"]},"oomScoreAdj":-500}}`,
			`{"ociVersion":"1.0","process":{"args":["sh"],"capabilities":{"bounding":["CAP_KILL"],"effective":[]},"oomScoreAdj":-100}}`,
		},
		"process": {
			some, false, `{"capabilities":{"bounding":["CAP_BPF","CAP_KILL"]},"oomScoreAdj":5}`, `{"capabilities":{"bounding":["CAP_KILL"]},"oomScoreAdj":5}`,
		},
		"nothing asked": {some, false, `{"args":["sh"]}`, `{"args":["sh"]}`},
		"everything had": {
			all, false, `{"capabilities":{"bounding":["CAP_BPF"]},"oomScoreAdj":-1000}`, `{"capabilities":{"bounding":["CAP_BPF"]},"oomScoreAdj":-1000}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.limits.apply([]byte(c.given), c.bundle)
			require.NoError(t, err)
			require.JSONEq(t, c.want, string(got))
		})
	}
	_, err := all.apply([]byte(`{}`), true)
	require.ErrorContains(t, err, "no process")
	_, err = all.apply([]byte(`no`), false)
	require.Error(t, err)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want []request
	}{
		"create": {
			[]string{"--root", "/r", "--log", "/l", "create", "--bundle", "/b", "--pid-file", "/p", "id"}, []request{{"/b/config.json", true}},
		},
		"exec":  {[]string{"exec", "--process=/tmp/process", "--detach", "id"}, []request{{"/tmp/process", false}}},
		"state": {[]string{"--root", "/r", "state", "id"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, requests(c.args))
		})
	}
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "process")
	require.NoError(t, os.WriteFile(file, []byte(`{"capabilities":{"bounding":["CAP_BPF"]}}`), 0o600))
	require.NoError(t, rewrite(request{file, false}, limits{lacks: []string{"CAP_BPF"}}))
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.JSONEq(t, `{"capabilities":{"bounding":[]}}`, string(data))
	require.Error(t, rewrite(request{file + "missing", false}, limits{}))
}

func TestOwnLimits(t *testing.T) {
	t.Parallel()
	l, err := ownLimits()
	require.NoError(t, err)
	require.NotContains(t, l.lacks, "CAP_NOVELTY")
	if l.score != nil {
		require.Contains(t, l.lacks, "CAP_SYS_RESOURCE")
	}
}
