package serviceproxy

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
)

type recorder struct {
	mu   sync.Mutex
	last []network.Service
}

func (r *recorder) SetServices(s []network.Service) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = s
}

func (r *recorder) get() []network.Service {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: corev1.ServiceSpec{
			ClusterIP: "10.96.0.20", ClusterIPs: []string{"10.96.0.20"}, Type: corev1.ServiceTypeNodePort,
			InternalTrafficPolicy: ptr.To(corev1.ServiceInternalTrafficPolicyLocal), SessionAffinity: corev1.ServiceAffinityClientIP,
			SessionAffinityConfig: &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr.To(int32(60))}},
			Ports: []corev1.ServicePort{
				{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 30080},
				{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53},
			},
		},
	}
}

func slice(name string, ready *bool, addr string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{
			{Name: ptr.To("http"), Protocol: ptr.To(corev1.ProtocolTCP), Port: ptr.To(int32(8080))},
			{Name: ptr.To("dns"), Protocol: ptr.To(corev1.ProtocolUDP), Port: ptr.To(int32(5353))},
		},
		Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{addr}, NodeName: ptr.To("node-1"),
			Conditions: discoveryv1.EndpointConditions{Ready: ready, Serving: ptr.To(true), Terminating: ptr.To(ready != nil && !*ready)},
		}},
	}
}

func TestTranslate(t *testing.T) {
	got, ok := translate(service(), []*discoveryv1.EndpointSlice{slice("a", ptr.To(false), "10.244.1.3"), slice("b", nil, "10.244.1.2"), slice("c", ptr.To(true), "10.244.1.3")})
	require.True(t, ok)
	endpoint := func(a string) network.Endpoint {
		return network.Endpoint{Addr: netip.MustParseAddrPort(a), Node: "node-1", Ready: true, Serving: true}
	}
	require.Equal(t, network.Service{
		Name: "shop/web", IPs: []netip.Addr{netip.MustParseAddr("10.96.0.20")}, Affinity: time.Minute, InternalLocal: true,
		Ports: []network.ServicePort{
			{Protocol: "TCP", Port: 80, NodePort: 30080, Endpoints: []network.Endpoint{endpoint("10.244.1.2:8080"), endpoint("10.244.1.3:8080")}},
			{Protocol: "UDP", Port: 53, Endpoints: []network.Endpoint{endpoint("10.244.1.2:5353"), endpoint("10.244.1.3:5353")}},
		},
	}, got)
	for _, change := range []func(*corev1.Service){
		func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = corev1.ClusterIPNone, nil },
		func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName },
		func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "fd00::1", []string{"fd00::1"} },
	} {
		s := service()
		change(s)
		_, ok := translate(s, nil)
		require.False(t, ok)
	}
}

func TestRunFollowsChanges(t *testing.T) {
	client := fake.NewClientset(service(), slice("a", ptr.To(true), "10.244.1.2"))
	ctx, cancel := context.WithCancel(t.Context())
	net, done := &recorder{}, make(chan error, 1)
	go func() { done <- Run(ctx, client, net, "node-1", nil) }()
	require.Eventually(t, func() bool {
		s := net.get()
		return len(s) == 1 && len(s[0].Ports[0].Endpoints) == 1
	}, 10*time.Second, 5*time.Millisecond)
	_, err := client.DiscoveryV1().EndpointSlices("shop").Create(ctx, slice("b", ptr.To(true), "10.244.2.2"), metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(net.get()[0].Ports[0].Endpoints) == 2 }, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, client.CoreV1().Services("shop").Delete(ctx, "web", metav1.DeleteOptions{}))
	require.Eventually(t, func() bool { return len(net.get()) == 0 }, 10*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}
