package orchestrator

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/results"
)

// pulled is a cluster whose nodes have images.
type pulled struct {
	fragile
	images map[string]string
}

func (p *pulled) Images() map[string]string { return p.images }

// up is a provider with one cluster.
type up struct{ cluster.Cluster }

func (u up) Up(context.Context, cluster.Spec) (cluster.Cluster, error) { return u.Cluster, nil }

func TestImagesOfTheClusterAreRecorded(t *testing.T) {
	t.Parallel()
	store, err := results.Create(t.TempDir(), results.Run{ID: "r", StartedAt: time.Unix(0, 0)})
	require.NoError(t, err)
	defer store.Close()
	provision := func(c cluster.Cluster) error {
		e := &environment{lab: &lab{provider: up{c}}, provisioned: func(c cluster.Cluster) error { return recordImages(store, c) }}
		return e.provision(t.Context())
	}
	require.NoError(t, provision(&fragile{}), "the embedded cluster has none to report")
	require.Nil(t, store.Run().Images)
	want := map[string]string{"registry.local/hotel/geo:2.3.1": "sha256:01"}
	require.NoError(t, provision(&pulled{images: want}))
	data, err := results.Load(store.Dir())
	require.NoError(t, err)
	require.Equal(t, want, data.Run.Images)
	require.ErrorContains(t, provision(&pulled{images: map[string]string{"registry.local/hotel/geo:2.3.1": "sha256:02"}}),
		"registry.local/hotel/geo:2.3.1 was sha256:01, is sha256:02")
}
