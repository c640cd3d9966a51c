package metricsserver

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/metrics-server/pkg/storage"
	"sigs.k8s.io/metrics-server/pkg/utils"
)

const (
	// kubeletPort is where a kubelet serves.
	kubeletPort = 10250
	// resourceMetrics is where a kubelet says what its containers use.
	resourceMetrics = "/metrics/resource"
	// maxAnswer bounds a kubelet's answer in bytes: a node of 110 pods gives about 100 kB.
	maxAnswer = 8 << 20
)

// kubelets asks the nodes' kubelets. It is safe for concurrent use.
type kubelets struct {
	client    *http.Client
	addresses utils.NodeAddressResolver
	nodePort  bool
}

// newKubelets returns a client that is to the kubelets who access is to the API server.
func newKubelets(access *rest.Config, o options) (*kubelets, error) {
	c := rest.CopyConfig(access)
	if o.insecure {
		c.TLSClientConfig = rest.TLSClientConfig{Insecure: true}
	}
	transport, err := rest.TransportFor(c)
	if err != nil {
		return nil, fmt.Errorf("make client of kubelets: %w", err)
	}
	return &kubelets{
		client: &http.Client{Transport: transport}, addresses: utils.NewPriorityNodeAddressResolver(o.addresses), nodePort: o.nodePort,
	}, nil
}

// GetMetrics asks the kubelet of node. Its errors are those of the network, or say what the kubelet answered.
func (k *kubelets) GetMetrics(ctx context.Context, node *corev1.Node) (*storage.MetricsBatch, error) {
	addr, err := k.addresses.NodeAddress(node)
	if err != nil {
		return nil, err
	}
	port := kubeletPort
	if p := int(node.Status.DaemonEndpoints.KubeletEndpoint.Port); k.nodePort && p != 0 {
		port = p
	}
	u := url.URL{Scheme: "https", Host: net.JoinHostPort(addr, strconv.Itoa(port)), Path: resourceMetrics}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	asked := time.Now()
	res, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("request failed, status: %q", res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read response body: %w", err)
	}
	return decode(body, node.Name, asked)
}

func addressTypes(list string) []corev1.NodeAddressType {
	var out []corev1.NodeAddressType
	for name := range strings.SplitSeq(list, ",") {
		out = append(out, corev1.NodeAddressType(strings.TrimSpace(name)))
	}
	return out
}
