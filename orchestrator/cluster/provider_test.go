package cluster_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// silent is a provider that does not say what its clusters can do.
type silent struct{}

func (silent) Up(context.Context, cluster.Spec) (cluster.Cluster, error) {
	return nil, errors.New("not in this test")
}

// outspoken is one that does.
type outspoken struct {
	silent
	has []string
}

func (o outspoken) Capabilities() []string { return o.has }

func TestMissing(t *testing.T) {
	t.Parallel()
	require.Empty(t, cluster.Missing(silent{}, []string{"a"}), "one that does not say can do everything")
	require.Empty(t, cluster.Missing(outspoken{has: []string{"a", "b"}}, []string{"b", "a"}))
	require.Equal(t, []string{"c", "d"}, cluster.Missing(outspoken{has: []string{"a", "b"}}, []string{"c", "a", "d"}))
	require.Empty(t, cluster.Missing(outspoken{}, nil))
}
