package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

func netTools() map[string]tool {
	return map[string]tool{
		"curl": curl, "wget": wget, "nslookup": nslookup, "dig": dig, "host": nslookup, "nc": nc, "getent": getent, "ip": ip, "ping": ping,
	}
}

// nc is nc [-ztvu] [-w SECONDS] HOST PORT: it connects, and copies its streams unless -z. -t, which answers telnet servers, changes nothing:
// there is none in a cluster.
func nc(c *command) int {
	f, ok := c.parse("zvutnw:N", nil)
	if !ok || len(f.rest) != 2 {
		return c.fail(1, "want [-ztvu] [-w SECONDS] HOST PORT")
	}
	limit := 10 * time.Second
	if s, err := strconv.ParseFloat(f.value("w", ""), 64); err == nil {
		limit = time.Duration(s * float64(time.Second))
	}
	network := "tcp"
	if f.has("u") {
		network = "udp"
	}
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	address := net.JoinHostPort(f.rest[0], f.rest[1])
	conn, err := c.sys.Net.DialContext(ctx, network, address)
	if err != nil {
		return c.fail(1, "%s (%s): %s", f.rest[0], f.rest[1], netReason(err))
	}
	defer conn.Close()
	if f.has("v") {
		fmt.Fprintf(c.err, "%s (%s) open\n", f.rest[0], conn.RemoteAddr())
	}
	if f.has("z") {
		return 0
	}
	go func() {
		_, _ = io.Copy(conn, c.in)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	stop := context.AfterFunc(c.ctx, func() { conn.Close() })
	defer stop()
	if f.has("w") {
		_ = conn.SetReadDeadline(time.Now().Add(limit))
	}
	if _, err := io.Copy(c.out, conn); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return c.fail(1, "%s", netReason(err))
	}
	return 0
}

// netReason is the everyday word for a network error.
func netReason(err error) string {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &dns) && dns.IsTimeout:
		return "Name resolution timed out"
	case errors.As(err, &dns):
		return "Name or service not known"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "No route to host"
	case errors.Is(err, syscall.ECONNRESET):
		return "Connection reset by peer"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "Connection timed out"
	}
	return err.Error()
}

func getent(c *command) int {
	if len(c.args) != 2 || (c.args[0] != "hosts" && c.args[0] != "ahosts") {
		return c.fail(1, "want hosts NAME")
	}
	addrs, err := c.sys.Net.LookupHost(c.ctx, c.args[1])
	if err != nil {
		return 2
	}
	for _, a := range addrs {
		c.printf("%-15s %s\n", a, c.args[1])
	}
	return 0
}

// ping explains itself: containers have no raw sockets.
func ping(c *command) int {
	return c.fail(1, "socket: Operation not permitted (are you root?)")
}
