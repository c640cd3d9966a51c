package controlplane

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// TestEtcdElectsItself starts the real etcd, whose private clock has to be where startEtcd looks for it, twice on one directory.
func TestEtcdElectsItself(t *testing.T) {
	dir, err := os.MkdirTemp("", "etcd") //nolint:usetesting // The name of t.TempDir is too long for a unix socket below it.
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Mkdir(filepath.Join(dir, "s"), 0o700))
	for range 2 {
		p := &plane{
			spec: &spec.Cluster{Name: "c", Dir: dir, Ports: spec.Ports{EtcdClient: 2379, EtcdPeer: 2380}},
			log:  slog.New(slog.DiscardHandler), began: time.Now(), failed: make(chan error, 1),
		}
		e, err := p.startEtcd(t.Context())
		require.NoError(t, err)
		require.Equal(t, e.Server.MemberID(), e.Server.Leader())
		e.Close()
	}
}
