package node

import (
	"context"
	"net/http"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/kubernetes/pkg/kubelet/server"
	"k8s.io/kubernetes/pkg/probe"
	grpcprobe "k8s.io/kubernetes/pkg/probe/grpc"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
	tcpprobe "k8s.io/kubernetes/pkg/probe/tcp"
)

// gate is between the kubelet and everything else. While it is shut the kubelet does nothing: it reaches neither the API server nor
// the container runtime, probes nothing, and serves nobody. So a kubelet that is down leaves its containers running, as on a machine
// where it is a process of its own; upstream's kubelet has no way to stop within a process that goes on.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // Closed while the gate is open.
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

// shut closes the gate; false when it was shut already.
func (g *gate) shut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		g.open = make(chan struct{})
		return true
	default:
		return false
	}
}

// reopen opens the gate; false when it was open already.
func (g *gate) reopen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		return false
	default:
		close(g.open)
		return true
	}
}

func (g *gate) passage() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

// wait returns when the gate is open or ctx ends.
func (g *gate) wait(ctx context.Context) error {
	select {
	case <-g.passage():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// pass is wait without an end.
func (g *gate) pass() { <-g.passage() }

// transport holds the kubelet's requests back.
func (g *gate) transport(next http.RoundTripper) http.RoundTripper { return gatedTransport{next, g} }

type gatedTransport struct {
	next http.RoundTripper
	gate *gate
}

func (t gatedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.gate.wait(req.Context()); err != nil {
		return nil, err
	}
	return t.next.RoundTrip(req)
}

// gatedAuth breaks off requests to the kubelet's server.
type gatedAuth struct {
	server.AuthInterface
	gate *gate
}

func (a gatedAuth) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	select {
	case <-a.gate.passage():
		return a.AuthInterface.AuthenticateRequest(req)
	default:
		panic(http.ErrAbortHandler) // The client sees the connection end, and nobody logs.
	}
}

// gatedHTTP, gatedTCP and gatedGRPC hold probes back before their time runs.
type gatedHTTP struct {
	httpprobe.Prober
	gate *gate
}

func (p gatedHTTP) Probe(req *http.Request, timeout time.Duration) (probe.Result, string, error) {
	p.gate.pass()
	return p.Prober.Probe(req, timeout)
}

type gatedTCP struct {
	tcpprobe.Prober
	gate *gate
}

func (p gatedTCP) Probe(host string, port int, timeout time.Duration) (probe.Result, string, error) {
	p.gate.pass()
	return p.Prober.Probe(host, port, timeout)
}

type gatedGRPC struct {
	grpcprobe.Prober
	gate *gate
}

func (p gatedGRPC) Probe(host, service string, port int, timeout time.Duration) (probe.Result, string, error) {
	p.gate.pass()
	return p.Prober.Probe(host, service, port, timeout)
}

// gatedRuntime holds back what the kubelet's loops ask of the container runtime.
type gatedRuntime struct {
	internalapi.RuntimeService
	gate *gate
}

func (r gatedRuntime) RunPodSandbox(ctx context.Context, config *runtimeapi.PodSandboxConfig, handler string) (string, error) {
	if err := r.gate.wait(ctx); err != nil {
		return "", err
	}
	return r.RuntimeService.RunPodSandbox(ctx, config, handler)
}

func (r gatedRuntime) StopPodSandbox(ctx context.Context, id string) error {
	if err := r.gate.wait(ctx); err != nil {
		return err
	}
	return r.RuntimeService.StopPodSandbox(ctx, id)
}

func (r gatedRuntime) RemovePodSandbox(ctx context.Context, id string) error {
	if err := r.gate.wait(ctx); err != nil {
		return err
	}
	return r.RuntimeService.RemovePodSandbox(ctx, id)
}

func (r gatedRuntime) ListPodSandbox(ctx context.Context, filter *runtimeapi.PodSandboxFilter) ([]*runtimeapi.PodSandbox, error) {
	if err := r.gate.wait(ctx); err != nil {
		return nil, err
	}
	return r.RuntimeService.ListPodSandbox(ctx, filter)
}

func (r gatedRuntime) CreateContainer(ctx context.Context, sandbox string, config *runtimeapi.ContainerConfig, pod *runtimeapi.PodSandboxConfig) (string, error) {
	if err := r.gate.wait(ctx); err != nil {
		return "", err
	}
	return r.RuntimeService.CreateContainer(ctx, sandbox, config, pod)
}

func (r gatedRuntime) StartContainer(ctx context.Context, id string) error {
	if err := r.gate.wait(ctx); err != nil {
		return err
	}
	return r.RuntimeService.StartContainer(ctx, id)
}

func (r gatedRuntime) StopContainer(ctx context.Context, id string, timeout int64) error {
	if err := r.gate.wait(ctx); err != nil {
		return err
	}
	return r.RuntimeService.StopContainer(ctx, id, timeout)
}

func (r gatedRuntime) RemoveContainer(ctx context.Context, id string) error {
	if err := r.gate.wait(ctx); err != nil {
		return err
	}
	return r.RuntimeService.RemoveContainer(ctx, id)
}

func (r gatedRuntime) ListContainers(ctx context.Context, filter *runtimeapi.ContainerFilter) ([]*runtimeapi.Container, error) {
	if err := r.gate.wait(ctx); err != nil {
		return nil, err
	}
	return r.RuntimeService.ListContainers(ctx, filter)
}

func (r gatedRuntime) ExecSync(ctx context.Context, id string, argv []string, timeout time.Duration) (stdout, stderr []byte, err error) {
	if err := r.gate.wait(ctx); err != nil {
		return nil, nil, err
	}
	return r.RuntimeService.ExecSync(ctx, id, argv, timeout)
}
