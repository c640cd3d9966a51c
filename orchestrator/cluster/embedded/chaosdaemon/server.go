// Package chaosdaemon is Chaos Mesh's daemon for a node of the embedded cluster: it serves the gRPC service that Chaos
// Mesh's own controllers call, and does what they ask for on the userspace network and the process runtime instead of
// on network namespaces and cgroups. What each call does here and on a real node is in docs/chaos.md.
package chaosdaemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	dnspb "github.com/chaos-mesh/k8s_dns_chaos/pb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

// Config is what one node's daemon is made of. Every field but TLS and DNS is set.
type Config struct {
	// Listen is the host address to serve on, for example 127.0.0.3:31767.
	Listen string
	// TLS is how the controllers and the daemon trust each other; the zero value serves in the clear, for tests.
	TLS TLS
	// Network and Runtime are the node's.
	Network Network
	Runtime Runtime
	// Conditions changes clocks and files of containers.
	Conditions Conditions
	// Stress is the command line that runs a stressor: the daemon appends "cpu" or "memory" and the stressor's own flags.
	// See package stress.
	Stress []string
	// DNS is the node's resolver for DNSChaos; the zero value runs none.
	DNS DNS
	Log *slog.Logger
}

// TLS holds the paths of PEM files.
type TLS struct{ CA, Cert, Key string }

// Serve serves until ctx ends, and then ends what it has started: stressors and proxies. Network effects stay with their
// pods. It returns nil after ctx ends.
func Serve(ctx context.Context, cfg Config) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for the chaos controllers: %w", err)
	}
	return serve(ctx, cfg, listener)
}

func serve(ctx context.Context, cfg Config, listener net.Listener) error {
	d := newDaemon(cfg)
	options := []grpc.ServerOption{grpc.UnaryInterceptor(d.log)}
	if cfg.TLS != (TLS{}) {
		creds, err := cfg.TLS.credentials()
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		options = append(options, grpc.Creds(creds))
	}
	server := grpc.NewServer(options...)
	pb.RegisterChaosDaemonServer(server, d)
	group, ctx := errgroup.WithContext(ctx)
	if cfg.DNS != (DNS{}) {
		dnspb.RegisterDNSServer(server, dnsService{d})
		group.Go(func() error {
			if err := d.serveDNS(ctx); err != nil {
				return fmt.Errorf("serve DNS to pods: %w", err)
			}
			return nil
		})
	}
	group.Go(func() error {
		if err := server.Serve(listener); err != nil && ctx.Err() == nil {
			return fmt.Errorf("serve the chaos controllers: %w", err)
		}
		return nil
	})
	defer d.close()
	defer context.AfterFunc(ctx, server.Stop)()
	return group.Wait()
}

func (t TLS) credentials() (credentials.TransportCredentials, error) {
	ca, err := os.ReadFile(t.CA)
	if err != nil {
		return nil, fmt.Errorf("read the chaos daemon's CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("read the chaos daemon's CA %s: no certificate in it", t.CA)
	}
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("read the chaos daemon's certificate: %w", err)
	}
	return credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}), nil
}

// daemon implements pb.ChaosDaemonServer. Calls that are not written here answer Unimplemented by name.
type daemon struct {
	pb.UnimplementedChaosDaemonServer
	cfg Config

	mu         sync.Mutex
	stressors  map[int]*stressor
	sandboxes  map[string]*sandboxState
	containers map[string]*containerState
	instances  map[int64]string // The containers of IOChaos, by what the controllers know them by.
	injections int32            // The last that was handed out, of any kind.
}

// sandboxState is what the daemon remembers of one sandbox: what the kernel remembers on a real node.
type sandboxState struct {
	mu    sync.Mutex
	sets  map[string]IPSet
	proxy *proxy
	dns   *dnsRule
}

func newDaemon(cfg Config) *daemon {
	return &daemon{
		cfg: cfg, stressors: map[int]*stressor{}, sandboxes: map[string]*sandboxState{},
		containers: map[string]*containerState{}, instances: map[int64]string{},
	}
}

func (d *daemon) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.stressors {
		s.kill()
	}
	for _, s := range d.sandboxes {
		s.mu.Lock()
		if s.proxy != nil {
			s.proxy.close()
		}
		s.mu.Unlock()
	}
}

func (d *daemon) log(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	method := info.FullMethod[strings.LastIndexByte(info.FullMethod, '/')+1:]
	reply, err := next(ctx, req)
	if err != nil {
		d.cfg.Log.WarnContext(ctx, "call of the chaos controllers failed", "method", method, "error", err)
		return reply, err
	}
	d.cfg.Log.DebugContext(ctx, "call of the chaos controllers", "method", method, "request", req)
	return reply, nil
}

// bareID strips the runtime's name from a container id as the kubelet reports it, containerd://<id>.
func bareID(id string) (string, error) {
	runtime, bare, ok := strings.Cut(id, "://")
	if !ok || runtime == "" || bare == "" {
		return "", status.Errorf(codes.InvalidArgument, "read container id %q: want <runtime>://<id>", id)
	}
	return bare, nil
}

// container finds the running container with an id as the kubelet reports it.
func (d *daemon) container(ctx context.Context, id string) (Container, error) {
	bare, err := bareID(id)
	if err != nil {
		return Container{}, err
	}
	c, err := d.cfg.Runtime.Container(ctx, bare)
	if err != nil {
		return Container{}, status.Errorf(codes.NotFound, "find container %s: %v", id, err)
	}
	return c, nil
}

// pod finds the network of a container, or of its pod where the container is not running: effects belong to the sandbox.
func (d *daemon) pod(ctx context.Context, containerID, podUID string) (Pod, *sandboxState, error) {
	var sandbox string
	c, err := d.container(ctx, containerID)
	switch {
	case err == nil:
		sandbox = c.SandboxID
	case podUID == "":
		return nil, nil, err
	default:
		var sandboxErr error
		if sandbox, sandboxErr = d.cfg.Runtime.Sandbox(ctx, PodRef{UID: podUID}); sandboxErr != nil {
			return nil, nil, status.Errorf(codes.NotFound, "find a sandbox: %v", errors.Join(err, sandboxErr))
		}
	}
	pod, ok := d.cfg.Network.Pod(sandbox)
	if !ok {
		return nil, nil, status.Errorf(codes.NotFound, "find the network of sandbox %s: it is gone", sandbox)
	}
	return pod, d.state(sandbox), nil
}

// state returns what is remembered of a sandbox, and forgets the sandboxes that are gone.
func (d *daemon) state(sandbox string) *sandboxState {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, s := range d.sandboxes {
		if _, alive := d.cfg.Network.Pod(id); alive {
			continue
		}
		s.mu.Lock()
		if s.proxy != nil {
			s.proxy.close()
		}
		s.mu.Unlock()
		delete(d.sandboxes, id)
	}
	s, ok := d.sandboxes[sandbox]
	if !ok {
		s = &sandboxState{sets: map[string]IPSet{}}
		d.sandboxes[sandbox] = s
	}
	return s
}
