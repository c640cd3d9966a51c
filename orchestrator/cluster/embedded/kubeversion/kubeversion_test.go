package kubeversion

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/component-base/version"
)

func TestSet(t *testing.T) {
	set("not a version")
	require.Contains(t, version.Get().GitVersion, "v0.0.0")
	set("v1.35.4")
	got := version.Get()
	require.Equal(t, "v1.35.4", got.GitVersion)
	require.Equal(t, "1", got.Major)
	require.Equal(t, "35", got.Minor)
}
