package nodeexporter_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/nodeexporter"
)

type table network.Conntrack

func (t *table) Conntrack() network.Conntrack { return network.Conntrack(*t) }

func TestServesTheTable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	state := &table{Entries: 98, Max: 131072, Dropped: 3}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- nodeexporter.Serve(ctx, l, state, slog.New(slog.DiscardHandler)) }()
	get := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+path, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	code, body := get("/metrics")
	require.Equal(t, http.StatusOK, code)
	for _, line := range []string{
		"node_nf_conntrack_entries 98\n", "node_nf_conntrack_entries_limit 131072\n", "node_nf_conntrack_stat_drop 3\n",
		"node_scrape_collector_success{collector=\"conntrack\"} 1\n", "# TYPE node_nf_conntrack_entries gauge\n",
	} {
		require.Contains(t, body, line)
	}
	code, _ = get("/")
	require.Equal(t, http.StatusNotFound, code)
	cancel()
	require.NoError(t, <-done)
}

func TestSaysWhenItCannotServe(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorContains(t, nodeexporter.Serve(t.Context(), l, &table{}, slog.New(slog.DiscardHandler)), "serve metrics of the node")
}
