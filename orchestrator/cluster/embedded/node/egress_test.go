package node

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func connect(t *testing.T, socket, target string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "CONNECT "+target+" HTTP/1.1\r\nHost: "+target+"\r\n\r\n")
	require.NoError(t, err)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	require.NoError(t, err)
	return conn, in, resp
}

func TestEgress(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "pong") }))
	defer web.Close()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "10.244.1.2:80" {
			return nil, errors.New("no route to " + address)
		}
		return hostDial(ctx, network, web.Listener.Addr().String())
	}
	socket := filepath.Join(t.TempDir(), "egress")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	require.NoError(t, serveEgress(ctx, socket, dial, slog.New(slog.DiscardHandler)))

	conn, in, resp := connect(t, socket, "10.244.1.2:80")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	_, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	require.NoError(t, err)
	answer, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, "pong", string(body))

	_, _, resp = connect(t, socket, "10.244.1.9:80")
	require.Equal(t, http.StatusBadGateway, resp.StatusCode)
	body, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "no route to 10.244.1.9:80", string(body))

	cancel()
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err, "what is open ends with the node")
}
