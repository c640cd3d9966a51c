package kubeversion_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/component-base/version"

	"github.com/gameday-bench/gameday/internal/kubeversion"
)

func TestSetMakesTheVersionTrue(t *testing.T) {
	require.NoError(t, kubeversion.Set())
	v := version.Get()
	require.Equal(t, kubeversion.Module(), v.GitVersion)
	require.Regexp(t, `^v1\.\d+\.\d+$`, v.GitVersion)
	require.Equal(t, "1", v.Major)
	require.Equal(t, version.DefaultKubeBinaryVersion, v.Major+"."+v.Minor)
	require.NotContains(t, version.Get().String(), "$Format")
}
