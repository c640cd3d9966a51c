// Package egress is the control plane's way into the userspace network.
//
// No address of the userspace network exists on the host, so the API server cannot dial a kubelet, a pod or a Service.
// Its egress selector sends those dials as HTTP CONNECT to a unix socket instead; the Proxy behind that socket knows
// which node owns an address and passes the connection to it.
package egress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

const (
	// kubeletPort is the port that every kubelet has on the userspace network.
	kubeletPort = 10250
	// apiServerPort is the API server's port on the userspace network.
	apiServerPort = 6443
	// dialTimeout is how long one dial may take, as long as a TCP dial of the API server's own.
	dialTimeout = 30 * time.Second
	// probeTimeout is how long one node may take to answer for a Service address before the next node is asked.
	probeTimeout = 3 * time.Second
	// requestTimeout bounds the CONNECT request itself, so that a silent client does not hold a connection open.
	requestTimeout = 10 * time.Second
)

// Proxy answers HTTP CONNECT requests. It is safe for concurrent use.
type Proxy struct {
	cluster *spec.Cluster
	log     *slog.Logger
	next    atomic.Uint32

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

// New returns a proxy for the addresses of cluster.
func New(cluster *spec.Cluster, log *slog.Logger) *Proxy {
	return &Proxy{cluster: cluster, log: log, conns: map[net.Conn]struct{}{}}
}

// Serve accepts connections on l until ctx is done, then closes l and every connection and waits for them to end.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		_ = l.Close()
		p.closeAll()
	})
	defer stop()
	defer p.wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("accept on the egress socket: %w", err)
		}
		p.track(conn)
		p.wg.Go(func() {
			defer p.untrack(conn)
			p.serve(ctx, conn)
		})
		if ctx.Err() != nil {
			p.closeAll()
		}
	}
}

func (p *Proxy) track(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
}

func (p *Proxy) untrack(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// serve handles one client connection: one CONNECT, then bytes in both directions.
func (p *Proxy) serve(ctx context.Context, client net.Conn) {
	_ = client.SetReadDeadline(time.Now().Add(requestTimeout))
	r := bufio.NewReader(client)
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	_ = client.SetReadDeadline(time.Time{})
	if req.Method != http.MethodConnect {
		fmt.Fprintf(client, "HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT\r\nContent-Length: 0\r\n\r\n")
		return
	}
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	target, err := p.Dial(dialCtx, req.Host)
	cancel()
	if err != nil {
		p.log.Debug("egress dial", "target", req.Host, "error", err)
		// The API server shows the status line to whoever asked, so the reason belongs there.
		fmt.Fprintf(client, "HTTP/1.1 502 %s\r\nContent-Length: 0\r\n\r\n", statusText(err))
		return
	}
	p.track(target)
	defer p.untrack(target)
	if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	if n := r.Buffered(); n > 0 {
		early, _ := r.Peek(n)
		if _, err := target.Write(early); err != nil {
			return
		}
	}
	pipe(client, target)
}

// statusText makes err fit on one status line.
func statusText(err error) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, err.Error())
}

// Dial connects to address, an IP and port of the userspace network or of loopback.
func (p *Proxy) Dial(ctx context.Context, address string) (net.Conn, error) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial tcp %s: no such host", address)
	}
	addr, port := ap.Addr().Unmap(), ap.Port()
	n := p.cluster.Network
	switch {
	case addr.IsLoopback():
		return dialHost(ctx, ap.String())
	case addr == n.ControlPlane && port == apiServerPort:
		return dialHost(ctx, fmt.Sprintf("127.0.0.1:%d", p.cluster.Ports.APIServer))
	case n.ServiceCIDR.Contains(addr):
		return p.dialAny(ctx, ap)
	}
	for _, node := range p.cluster.Nodes {
		switch {
		case addr == node.Address && port == kubeletPort:
			return dialHost(ctx, fmt.Sprintf("127.0.0.1:%d", node.KubeletPort))
		case addr == node.Address, node.PodCIDR.Contains(addr):
			return p.dialNode(ctx, node, ap)
		}
	}
	return nil, fmt.Errorf("dial tcp %s: connect: no route to host", ap)
}

// dialAny goes through the first node that is alive: every node's service proxy knows every Service. The nodes take
// turns at being first.
func (p *Proxy) dialAny(ctx context.Context, ap netip.AddrPort) (net.Conn, error) {
	nodes := p.cluster.Nodes
	if len(nodes) == 0 {
		return nil, fmt.Errorf("dial tcp %s: connect: no route to host", ap)
	}
	first := int(p.next.Add(1)) % len(nodes)
	var last error
	for _, node := range slices.Concat(nodes[first:], nodes[:first]) {
		conn, err := p.dialNodeWithin(ctx, node, ap, probeTimeout)
		if err == nil {
			return conn, nil
		}
		last = err
		var refused *refusedError
		if errors.As(err, &refused) || ctx.Err() != nil {
			return nil, err // The node is alive and says no: so would the others.
		}
	}
	return nil, last
}

func (p *Proxy) dialNodeWithin(ctx context.Context, node spec.Node, ap netip.AddrPort, d time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return p.dialNode(ctx, node, ap)
}

// refusedError is a live node's refusal to connect.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return e.reason }

// dialNode connects to ap from node's own network stack.
func (p *Proxy) dialNode(ctx context.Context, node spec.Node, ap netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", p.cluster.EgressSocket(node.Name))
	if err != nil {
		// The socket's path means nothing to whoever reads this.
		return nil, fmt.Errorf("dial tcp %s: connect: no route to host", ap)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", ap, ap); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("dial tcp %s: %w", ap, timeoutOr(ctx, err))
	}
	status, err := readResponse(conn)
	switch {
	case err != nil:
		_ = conn.Close()
		return nil, fmt.Errorf("dial tcp %s: %w", ap, timeoutOr(ctx, err))
	case status.code != http.StatusOK:
		_ = conn.Close()
		return nil, &refusedError{status.reason}
	case !stop():
		_ = conn.Close()
		return nil, fmt.Errorf("dial tcp %s: %w", ap, timeoutOr(ctx, net.ErrClosed))
	}
	return conn, nil
}

// timeoutOr names a dial that the context ended the way the kernel would.
func timeoutOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("i/o timeout")
	}
	return err
}

type response struct {
	code   int
	reason string
}

// maxHeader bounds the answer to a CONNECT.
const maxHeader = 8 << 10

// readResponse reads the head of a CONNECT response byte by byte, so that nothing of what follows is consumed.
func readResponse(conn net.Conn) (response, error) {
	var head []byte
	one := make([]byte, 1)
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		if len(head) == maxHeader {
			return response{}, errors.New("read CONNECT response: header too long")
		}
		if _, err := io.ReadFull(conn, one); err != nil {
			return response{}, fmt.Errorf("read CONNECT response: %w", err)
		}
		head = append(head, one[0])
	}
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(head))), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return response{}, fmt.Errorf("read CONNECT response: %w", err)
	}
	_ = res.Body.Close()
	_, reason, _ := strings.Cut(res.Status, " ")
	return response{res.StatusCode, reason}, nil
}

func dialHost(ctx context.Context, address string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// pipe copies in both directions until both have ended. An end of input is passed on as a half close.
func pipe(a, b net.Conn) {
	var wg sync.WaitGroup
	forward := func(dst, src net.Conn) {
		_, err := io.Copy(dst, src)
		if c, ok := dst.(interface{ CloseWrite() error }); ok && err == nil {
			_ = c.CloseWrite()
			return
		}
		_ = dst.Close()
		_ = src.Close()
	}
	wg.Go(func() { forward(a, b) })
	wg.Go(func() { forward(b, a) })
	wg.Wait()
}
