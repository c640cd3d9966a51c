package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpchealth "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/component-base/version"
	"k8s.io/kubernetes/pkg/probe"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
)

// dialFunc dials into the userspace network from the node's own address. Its errors are those of package net, since the
// kubelet prints them into events.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// httpProber is the kubelet's HTTP prober over another dialer.
type httpProber struct{ transport *http.Transport }

func newHTTPProber(dial dialFunc) httpProber {
	return httpProber{utilnet.SetTransportDefaults(&http.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true}, // Probes do not verify, as documented.
		DisableKeepAlives:  true,
		Proxy:              http.ProxyURL(nil),
		DisableCompression: true,
		DialContext:        dial,
	})}
}

func (p httpProber) Probe(req *http.Request, timeout time.Duration) (probe.Result, string, error) {
	return httpprobe.DoHTTPProbe(req, &http.Client{
		Timeout: timeout, Transport: p.transport, CheckRedirect: httpprobe.RedirectChecker(false),
	})
}

// tcpProber is the kubelet's TCP prober over another dialer.
type tcpProber struct{ dial dialFunc }

func (p tcpProber) Probe(host string, port int, timeout time.Duration) (probe.Result, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	conn, err := p.dial(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return probe.Failure, err.Error(), nil
	}
	_ = conn.Close()
	return probe.Success, "", nil
}

// probeBuffer is what the connection of a gRPC probe buffers in each direction, in bytes: question and answer are smaller, and each probe makes its own.
const probeBuffer = 1 << 10

// grpcProber is the kubelet's gRPC prober over another dialer; it says what that one says.
type grpcProber struct{ dial dialFunc }

func (p grpcProber) Probe(host, service string, port int, timeout time.Duration) (probe.Result, string, error) {
	v := version.Get()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	addr := net.JoinHostPort(host, strconv.Itoa(port))
	//nolint:staticcheck // As the kubelet does: only a blocking dial tells "failed to connect" from a failed call.
	conn, err := grpc.DialContext(ctx, addr,
		grpc.WithUserAgent(fmt.Sprintf("kube-probe/%s.%s", v.Major, v.Minor)),
		grpc.WithBlock(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithReadBufferSize(probeBuffer), grpc.WithWriteBufferSize(probeBuffer),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return p.dial(ctx, "tcp", addr) }),
	)
	if errors.Is(err, context.DeadlineExceeded) {
		return probe.Failure, fmt.Sprintf("timeout: failed to connect service %q within %v: %+v", addr, timeout, err), nil
	}
	if err != nil {
		return probe.Failure, fmt.Sprintf("error: failed to connect service at %q: %+v", addr, err), nil
	}
	defer conn.Close()
	resp, err := grpchealth.NewHealthClient(conn).Check(ctx, &grpchealth.HealthCheckRequest{Service: service})
	switch status.Code(err) {
	case codes.OK:
	case codes.Unimplemented:
		return probe.Failure, fmt.Sprintf("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): %s",
			status.Convert(err).Message()), nil
	case codes.DeadlineExceeded:
		return probe.Failure, fmt.Sprintf("timeout: health rpc did not complete within %v", timeout), nil
	default:
		return probe.Failure, fmt.Sprintf("error: health rpc probe failed: %+v", err), nil
	}
	if resp.GetStatus() != grpchealth.HealthCheckResponse_SERVING {
		return probe.Failure, fmt.Sprintf("service unhealthy (responded with %q)", resp.GetStatus().String()), nil
	}
	return probe.Success, "service healthy", nil
}
