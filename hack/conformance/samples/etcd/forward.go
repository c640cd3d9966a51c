package etcd

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

// forward carries every connection of l to the unix socket until l is closed, which is no error once ctx has ended. It does not wait for
// the connections, which carried counts.
func forward(ctx context.Context, l net.Listener, socket string, carried *sync.WaitGroup) error {
	for {
		client, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // Nobody is let in any more.
			}
			return fmt.Errorf("accept client: %w", err)
		}
		carried.Go(func() { carry(ctx, client, socket) })
	}
}

// carry copies between client and the socket until one of them closes, and closes both.
func carry(ctx context.Context, client net.Conn, socket string) {
	defer client.Close()
	var d net.Dialer
	server, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return // etcd is ending; the client sees its connection close.
	}
	defer server.Close()
	var sent sync.WaitGroup
	defer sent.Wait()
	sent.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	_, _ = io.Copy(client, server)
	_ = client.Close()
}
