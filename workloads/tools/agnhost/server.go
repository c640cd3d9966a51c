package agnhost

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strconv"

	"github.com/gameday-bench/gameday/workloads/program"
)

// serve serves HTTP at a port of the pod until ctx ends; with a TLS configuration, HTTPS.
func (a *app) serve(ctx context.Context, port int, h http.Handler, config *tls.Config) error {
	l, err := a.sys.Net.Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("listen at port %d: %w", port, err)
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	server := &http.Server{Handler: h, ErrorLog: a.log}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve port %d: %w", port, err)
	}
	return nil
}

// keyPair reads a certificate with its key from the container's files; with neither name it returns nil. The image's own is made
// when it is asked for.
func (a *app) keyPair(certFile, keyFile string) (*tls.Config, error) {
	if certFile == "" && keyFile == "" {
		return nil, nil
	}
	cert, err := program.ReadFile(a.sys.Files, certFile)
	if errors.Is(err, fs.ErrNotExist) && certFile == localhostFile {
		return a.localhostKeyPair()
	}
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	key, err := program.ReadFile(a.sys.Files, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read private key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("load certificate %s: %w", certFile, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}, nil
}

// client speaks HTTP over the pod's network, one connection per request.
func (a *app) client(config *tls.Config) *http.Client {
	return &http.Client{
		Timeout:   dialTimeout,
		Transport: &http.Transport{DialContext: a.sys.Net.DialContext, TLSClientConfig: config, DisableKeepAlives: true},
	}
}

// serveUDP answers each datagram at host:port with what answer makes of it, until ctx ends. started is called when the
// socket is open. An empty answer is not sent.
func (a *app) serveUDP(ctx context.Context, host string, port int, started func(), answer func(msg string, from net.Addr) string) error {
	conn, err := a.sys.Net.ListenPacket(ctx, "udp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("listen at UDP port %d: %w", port, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	started()
	buf := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			// An ICMP error of an earlier answer: the client has gone.
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("read UDP port %d: %w", port, err)
			}
			continue
		}
		if out := answer(string(buf[:n]), from); out != "" {
			if _, err := conn.WriteTo([]byte(out), from); err != nil {
				a.log.Printf("answer UDP client %s: %v", from, err)
			}
		}
	}
}
