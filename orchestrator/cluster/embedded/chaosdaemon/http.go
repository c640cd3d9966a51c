package chaosdaemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/tproxyconfig"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// proxyInstance is reported in place of the process id of the proxy, which is part of this process.
const proxyInstance = 1

// ApplyHttpChaos replaces the HTTP rules of a pod. A configuration that cannot be applied is a reply with its status
// code, as the proxy of Chaos Mesh gives it; then nothing has changed.
func (d *daemon) ApplyHttpChaos(ctx context.Context, req *pb.ApplyHttpChaosRequest) (*pb.ApplyHttpChaosResponse, error) {
	pod, state, err := d.pod(ctx, req.GetContainerId(), "")
	if err != nil {
		return nil, err
	}
	resp := &pb.ApplyHttpChaosResponse{
		Instance: proxyInstance, InstanceUid: req.GetContainerId(), StartTime: req.GetStartTime(), StatusCode: http.StatusOK,
	}
	var raw []tproxyconfig.PodHttpChaosBaseRule
	if err := json.Unmarshal([]byte(req.GetRules()), &raw); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "read HTTP rules: %v", err)
	}
	rules, err := httpRules(raw)
	if err != nil {
		resp.StatusCode, resp.Error = http.StatusBadRequest, err.Error()
		return resp, nil
	}
	secure, err := httpTLS(req.GetTls())
	if err != nil {
		resp.StatusCode, resp.Error = http.StatusBadRequest, err.Error()
		return resp, nil
	}
	ports := make([]uint16, 0, len(req.GetProxyPorts()))
	for _, port := range req.GetProxyPorts() {
		if port == 0 || port > 65535 {
			return nil, status.Errorf(codes.InvalidArgument, "read HTTP rules: port %d is out of range", port)
		}
		ports = append(ports, uint16(port))
	}
	slices.Sort(ports)
	state.mu.Lock()
	defer state.mu.Unlock()
	if err := state.setProxy(pod, ports, rules, secure); err != nil {
		return nil, status.Errorf(codes.Internal, "apply HTTP rules: %v", err)
	}
	return resp, nil
}

// setProxy replaces the proxy of a sandbox, whose state is locked.
func (s *sandboxState) setProxy(pod Pod, ports []uint16, rules []httpRule, secure *tls.Config) error {
	if len(ports) == 0 {
		if s.proxy == nil {
			return nil
		}
		err := pod.SetProxy(nil, nil)
		s.proxy.close()
		s.proxy = nil
		return err
	}
	next := newProxy(pod, rules, secure)
	if err := pod.SetProxy(ports, next.handle); err != nil {
		next.close()
		return err
	}
	if s.proxy != nil {
		s.proxy.close()
	}
	s.proxy = next
	return nil
}

// httpTLS reads the certificate that the proxy shows in place of the server's.
func httpTLS(raw string) (*tls.Config, error) {
	if raw == "" {
		return nil, nil
	}
	var cfg tproxyconfig.TLSConfig
	if err := json.Unmarshal([]byte(raw), &cfg); err != nil {
		return nil, fmt.Errorf("read TLS configuration: %w", err)
	}
	cert, err := tls.X509KeyPair(cfg.CertFile.Value, cfg.KeyFile.Value)
	if err != nil {
		return nil, fmt.Errorf("read TLS certificate: %w", err)
	}
	out := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if cfg.CAFile != nil {
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(cfg.CAFile.Value) {
			return nil, fmt.Errorf("read TLS CA: no certificate in it")
		}
	}
	return out, nil
}
