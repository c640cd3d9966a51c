package daemons

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	dnspb "github.com/chaos-mesh/k8s_dns_chaos/pb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// serverName is the name that Chaos Mesh's clients expect in a daemon's certificate.
const serverName = "chaos-daemon.chaos-mesh.org"

// dnsTimeout bounds one call to one node's daemon.
const dnsTimeout = 5 * time.Second

// DNS is the DNS chaos server that Chaos Mesh's controllers talk to, without TLS as everywhere. It is a relay: the rules
// go to the chaos daemon of the pod's node, which serves Chaos Mesh's DNS service (dnspb.DNS) beside its own on the same
// port and with the same mutual TLS, and which answers the DNS questions of its pods.
type DNS struct {
	// Cluster says where the daemons are.
	Cluster *spec.Cluster
	// NodeOf returns the name of the node that a pod runs on.
	NodeOf func(ctx context.Context, namespace, pod string) (string, error)
	// Credentials are the controllers' side of the connection to a daemon.
	Credentials credentials.TransportCredentials
}

var _ dnspb.DNSServer = (*DNS)(nil)

// Serve serves the relay on l until ctx is done. It closes l.
func (d *DNS) Serve(ctx context.Context, l net.Listener) error {
	s := grpc.NewServer()
	dnspb.RegisterDNSServer(s, d)
	stop := context.AfterFunc(ctx, s.Stop)
	defer stop()
	if err := s.Serve(l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve DNS chaos: %w", err)
	}
	return nil
}

// Credentials are the controllers' side of the mutual TLS with the daemons of c.
func Credentials(c *spec.Cluster) (credentials.TransportCredentials, error) {
	pki := func(name string) string { return filepath.Join(c.PKI(), name) }
	pair, err := tls.LoadX509KeyPair(pki("chaos.crt"), pki("chaos.key"))
	if err != nil {
		return nil, fmt.Errorf("load chaos certificate: %w", err)
	}
	ca, err := os.ReadFile(pki("ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("read certificate authority: no certificate in it")
	}
	return credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: pool,
		ServerName: serverName, MinVersion: tls.VersionTLS12,
	}), nil
}

// SetDNSChaos passes the rules on to the daemon of each pod's node.
func (d *DNS) SetDNSChaos(ctx context.Context, req *dnspb.SetDNSChaosRequest) (*dnspb.DNSChaosResponse, error) {
	byNode := map[string][]*dnspb.Pod{}
	for _, p := range req.Pods {
		node, err := d.NodeOf(ctx, p.Namespace, p.Name)
		if err != nil {
			return nil, status.Errorf(codes.NotFound, "find pod %s/%s: %v", p.Namespace, p.Name, err)
		}
		byNode[node] = append(byNode[node], p)
	}
	for name, pods := range byNode {
		node, err := d.Cluster.Node(name)
		if err != nil {
			return nil, status.Error(codes.NotFound, err.Error())
		}
		part := &dnspb.SetDNSChaosRequest{
			Name: req.Name, Action: req.Action, Scope: req.Scope, Selector: req.Selector, Patterns: req.Patterns, Pods: pods,
		}
		res, err := d.call(ctx, node, func(ctx context.Context, c dnspb.DNSClient) (*dnspb.DNSChaosResponse, error) {
			return c.SetDNSChaos(ctx, part)
		})
		if err != nil || !res.Result {
			return res, err
		}
	}
	return &dnspb.DNSChaosResponse{Result: true}, nil
}

// CancelDNSChaos takes the rules of one chaos object back everywhere. A node that is gone has no rules.
func (d *DNS) CancelDNSChaos(ctx context.Context, req *dnspb.CancelDNSChaosRequest) (*dnspb.DNSChaosResponse, error) {
	g, ctx := errgroup.WithContext(ctx)
	for _, node := range d.Cluster.Nodes {
		g.Go(func() error {
			res, err := d.call(ctx, node, func(ctx context.Context, c dnspb.DNSClient) (*dnspb.DNSChaosResponse, error) {
				return c.CancelDNSChaos(ctx, req)
			})
			switch code := status.Code(err); {
			case code == codes.Unavailable, code == codes.DeadlineExceeded:
				return nil
			case err != nil:
				return fmt.Errorf("cancel DNS chaos on %s: %w", node.Name, err)
			case !res.Result:
				return fmt.Errorf("cancel DNS chaos on %s: %s", node.Name, res.Msg)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return &dnspb.DNSChaosResponse{Result: false, Msg: err.Error()}, nil //nolint:nilerr // The answer says it: that is the protocol.
	}
	return &dnspb.DNSChaosResponse{Result: true}, nil
}

// call makes one call to node's daemon.
func (d *DNS) call(ctx context.Context, node spec.Node,
	f func(context.Context, dnspb.DNSClient) (*dnspb.DNSChaosResponse, error),
) (*dnspb.DNSChaosResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	address := net.JoinHostPort(node.Loopback.String(), strconv.Itoa(d.Cluster.Ports.ChaosDaemon))
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(d.Credentials))
	if err != nil {
		return nil, fmt.Errorf("dial chaos daemon of %s: %w", node.Name, err)
	}
	defer conn.Close()
	return f(ctx, dnspb.NewDNSClient(conn))
}
