package controlplane

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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// dnsTimeout bounds one call to one node's daemon.
const dnsTimeout = 5 * time.Second

// chaosDNS is the DNS chaos server that Chaos Mesh's controllers talk to. It is a relay: the rules go to the chaos
// daemon of the pod's node, which serves Chaos Mesh's DNS service (dnspb.DNS) beside its own on the same port and with
// the same mutual TLS, and which answers the DNS questions of its pods.
type chaosDNS struct {
	spec  *spec.Cluster
	kube  kubernetes.Interface
	creds credentials.TransportCredentials
	port  int
}

// startChaosDNS serves the relay on a free loopback port.
func (p *plane) startChaosDNS(ctx context.Context, admin *rest.Config) (*chaosDNS, error) {
	kube, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return nil, fmt.Errorf("build client: %w", err)
	}
	creds, err := p.daemonCredentials()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for DNS chaos: %w", err)
	}
	d := &chaosDNS{spec: p.spec, kube: kube, creds: creds, port: l.Addr().(*net.TCPAddr).Port}
	s := grpc.NewServer()
	dnspb.RegisterDNSServer(s, d)
	context.AfterFunc(ctx, s.Stop)
	p.background(ctx, "DNS chaos relay", func() error { return s.Serve(l) })
	return d, nil
}

// daemonCredentials are the controllers' side of the mutual TLS with the daemons.
func (p *plane) daemonCredentials() (credentials.TransportCredentials, error) {
	pki := func(name string) string { return filepath.Join(p.spec.PKI(), name) }
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
		ServerName: "chaos-daemon.chaos-mesh.org", MinVersion: tls.VersionTLS12,
	}), nil
}

func (d *chaosDNS) intercept(c client.Client) client.Client { return dnsClient{c, d.spec} }

// SetDNSChaos passes the rules on to the daemon of each pod's node.
func (d *chaosDNS) SetDNSChaos(ctx context.Context, req *dnspb.SetDNSChaosRequest) (*dnspb.DNSChaosResponse, error) {
	byNode := map[string][]*dnspb.Pod{}
	for _, p := range req.Pods {
		pod, err := d.kube.CoreV1().Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		if err != nil {
			return nil, status.Errorf(codes.NotFound, "find pod %s/%s: %v", p.Namespace, p.Name, err)
		}
		byNode[pod.Spec.NodeName] = append(byNode[pod.Spec.NodeName], p)
	}
	for name, pods := range byNode {
		node, err := d.spec.Node(name)
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
func (d *chaosDNS) CancelDNSChaos(ctx context.Context, req *dnspb.CancelDNSChaosRequest) (*dnspb.DNSChaosResponse, error) {
	g, ctx := errgroup.WithContext(ctx)
	for _, node := range d.spec.Nodes {
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
		return &dnspb.DNSChaosResponse{Result: false, Msg: err.Error()}, nil
	}
	return &dnspb.DNSChaosResponse{Result: true}, nil
}

// call makes one call to node's daemon.
func (d *chaosDNS) call(ctx context.Context, node spec.Node,
	f func(context.Context, dnspb.DNSClient) (*dnspb.DNSChaosResponse, error),
) (*dnspb.DNSChaosResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	address := net.JoinHostPort(node.Loopback.String(), strconv.Itoa(d.spec.Ports.ChaosDaemon))
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(d.creds))
	if err != nil {
		return nil, fmt.Errorf("dial chaos daemon of %s: %w", node.Name, err)
	}
	defer conn.Close()
	return f(ctx, dnspb.NewDNSClient(conn))
}
