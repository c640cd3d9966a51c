package cli

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/results"
)

func TestBuildIsDescribed(t *testing.T) {
	t.Parallel()
	info := &debug.BuildInfo{
		GoVersion: "go1.26.8", Main: debug.Module{Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "k8s.io/client-go", Version: "v0.36.0", Replace: &debug.Module{Version: "v0.35.4"}},
			{Path: "github.com/chaos-mesh/chaos-mesh/api", Version: "v0.0.0-20260906172039-d70b66ad97ac"},
		},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"}},
	}
	require.Equal(t, results.Tool{
		Version: "devel", Commit: "abc", Date: "2026-01-02T03:04:05Z", Dirty: true, Go: "go1.26.8", Kubernetes: "v1.35.4",
		ChaosMesh: "v0.0.0-20260906172039-d70b66ad97ac",
	}, describeBuild(info))
	info.Main.Version, info.Settings = "v1.2.3", nil
	require.Equal(t, "v1.2.3", describeBuild(info).Version)
	require.Empty(t, describeBuild(info).Commit)
}
