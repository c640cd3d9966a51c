package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// TestShapedConnectionsEnd sends through a token bucket that loses what is too much, over many new connections: each delivers all of it.
func TestShapedConnectionsEnd(t *testing.T) {
	const size = 200_000
	n := testNetwork(t, func(c *Config) { c.Clock = hurried{} })
	var group errgroup.Group
	for i := range 40 {
		p, q := addPod(t, n, fmt.Sprint("p", i)), addPod(t, n, fmt.Sprint("q", i))
		require.NoError(t, p.SetQdiscs([]Qdisc{{TBF: &TBF{Rate: 500_000, Buffer: 10_000, Limit: 22_500}}}))
		l, err := container(t, q).Listen(t.Context(), "tcp", ":9")
		require.NoError(t, err)
		from := container(t, p)
		group.Go(func() error {
			defer l.Close()
			for range 5 {
				if err := deliver(t.Context(), from, l, q.IP().String()+":9", size); err != nil {
					return fmt.Errorf("%s: %w", p.ID(), err)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}

// deliver makes a connection and sends so many bytes.
func deliver(ctx context.Context, from *sandbox.Client, to net.Listener, address string, size int) error {
	dialled, err := from.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer dialled.Close()
	accepted, err := to.Accept()
	if err != nil {
		return err
	}
	defer accepted.Close()
	if err := accepted.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	written := make(chan error, 1)
	go func() {
		_, err := dialled.Write(make([]byte, size))
		written <- err
	}()
	if _, err := io.ReadFull(accepted, make([]byte, size)); err != nil {
		return err
	}
	return <-written
}
