package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// connectTimeout bounds one dial on behalf of the control plane.
const connectTimeout = 10 * time.Second

// egress lets the control plane dial into the userspace network: HTTP CONNECT on a unix socket, dialled from the node's own
// address.
type egress struct {
	listener net.Listener
	dial     dialFunc
	log      *slog.Logger
}

// serveEgress listens on socket until ctx ends.
func serveEgress(ctx context.Context, socket string, dial dialFunc, log *slog.Logger) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("listen on egress socket: %w", err)
	}
	l, err := net.Listen("unix", socket) //nolint:noctx // To make a socket is not to wait.
	if err != nil {
		return fmt.Errorf("listen on egress socket: %w", err)
	}
	e := &egress{listener: l, dial: dial, log: log}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go e.accept(ctx)
	return nil
}

func (e *egress) accept(ctx context.Context) {
	for {
		conn, err := e.listener.Accept()
		if err != nil {
			if ctx.Err() == nil {
				e.log.Error("accept on egress socket", "error", err)
			}
			return
		}
		go e.serve(ctx, conn)
	}
}

func (e *egress) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	in := bufio.NewReader(client)
	req, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	if req.Method != http.MethodConnect {
		fmt.Fprint(client, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
		return
	}
	dialCtx, cancel := context.WithTimeout(ctx, connectTimeout)
	server, err := e.dial(dialCtx, "tcp", req.Host)
	cancel()
	if err != nil {
		fmt.Fprintf(client, "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(err.Error()), err)
		return
	}
	defer server.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { pipe(server, in) })
	both.Go(func() { pipe(client, server) })
	both.Wait()
}

// pipe copies one direction and then says that nothing more comes.
func pipe(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok || half.CloseWrite() != nil {
		_ = to.Close()
	}
}
