package networkpolicy

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
)

type recorder struct {
	mu   sync.Mutex
	last map[netip.Addr]network.PodPolicy
}

func (r *recorder) SetPolicies(p map[netip.Addr]network.PodPolicy) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = p
}

func (r *recorder) of(addr string) network.PodPolicy {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[netip.MustParseAddr(addr)]
}

func pod(namespace, name, ip, port string, number int32, set ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{}}}
	for _, l := range set {
		k, v, _ := strings.Cut(l, "=")
		p.Labels[k] = v
	}
	p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: port, ContainerPort: number, Protocol: corev1.ProtocolTCP}}}}
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: ip}}}
	return p
}

// world is a cluster of two namespaces. The web pod is this node's.
func world() []runtime.Object {
	done := pod("shop", "done", "10.244.2.9", "db", 1, "app=db")
	done.Status.Phase = corev1.PodSucceeded
	agent := pod("shop", "agent", "172.18.0.12", "db", 1, "app=db")
	agent.Spec.HostNetwork = true
	return []runtime.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "shop"}}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ops", Labels: map[string]string{"team": "ops"}}},
		pod("shop", "web", "10.244.1.2", "http", 8080, "app=web"),
		pod("shop", "db", "10.244.2.2", "db", 5432, "app=db"),
		pod("shop", "db2", "10.244.2.3", "db", 5433, "app=db"),
		pod("ops", "scraper", "10.244.2.4", "db", 9090, "app=scraper"),
		pod("ops", "db", "10.244.2.5", "other", 5432, "app=db"),
		done, agent,
	}
}

func decode(t *testing.T, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"}}
	require.NoError(t, yaml.Unmarshal([]byte(spec), &p.Spec))
	return p
}

// start runs a controller on a cluster and admits the web pod.
func start(t *testing.T, objects ...runtime.Object) (*fake.Clientset, *recorder, *Controller) {
	t.Helper()
	client, net := fake.NewClientset(objects...), &recorder{}
	c, err := New(client, net, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	require.NoError(t, c.Admit(t.Context(), Pod{Addr: netip.MustParseAddr("10.244.1.2"), Namespace: "shop", Name: "web", Labels: map[string]string{"app": "web"}}))
	return client, net, c
}

func hosts(addrs ...string) (out []network.PolicyPeer) {
	for _, a := range addrs {
		out = append(out, network.PolicyPeer{Net: netip.MustParsePrefix(a + "/32")})
	}
	return out
}

func tcp(first, last uint16) network.PolicyPort {
	return network.PolicyPort{Protocol: "TCP", PortRange: network.PortRange{First: first, Last: last}}
}

func TestResolve(t *testing.T) {
	rules := func(r ...network.PolicyRule) network.Policy { return network.Policy{Isolated: true, Allow: r} }
	for _, tt := range []struct {
		name, spec string
		want       network.PodPolicy
	}{
		{"default deny", `podSelector: {}`, network.PodPolicy{Ingress: rules()}},
		{"deny both", `{podSelector: {}, policyTypes: [Ingress, Egress]}`, network.PodPolicy{Ingress: rules(), Egress: rules()}},
		{"types by default", `{podSelector: {}, egress: [{}]}`, network.PodPolicy{Ingress: rules(), Egress: rules(network.PolicyRule{AnyPeer: true})}},
		{"egress alone", `{podSelector: {}, policyTypes: [Egress], ingress: [{}]}`, network.PodPolicy{Egress: rules()}},
		{"another pod", `podSelector: {matchLabels: {app: db}}`, network.PodPolicy{}},
		{"pods of the namespace", `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}}]}]}`,
			network.PodPolicy{Ingress: rules(network.PolicyRule{Peers: hosts("10.244.2.2", "10.244.2.3")})}},
		{"a namespace", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}}]}]}`,
			network.PodPolicy{Ingress: rules(network.PolicyRule{Peers: hosts("10.244.2.4", "10.244.2.5")})}},
		{"pods of a namespace", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}, podSelector: {matchLabels: {app: db}}}]}]}`,
			network.PodPolicy{Ingress: rules(network.PolicyRule{Peers: hosts("10.244.2.5")})}},
		{"either", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: ops}}}, {podSelector: {matchLabels: {app: db}}}]}]}`,
			network.PodPolicy{Ingress: rules(network.PolicyRule{Peers: hosts("10.244.2.2", "10.244.2.3", "10.244.2.4", "10.244.2.5")})}},
		{"nobody there", `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: none}}}]}]}`,
			network.PodPolicy{Ingress: rules(network.PolicyRule{})}},
		{"a block", `{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.244.2.0/24, except: [10.244.2.4/32]}}]}]}`,
			network.PodPolicy{Ingress: rules(network.PolicyRule{Peers: []network.PolicyPeer{{
				Net: netip.MustParsePrefix("10.244.2.0/24"), Except: []netip.Prefix{netip.MustParsePrefix("10.244.2.4/32")},
			}}})}},
		{"ports", `{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 8000, endPort: 8080}, {protocol: UDP}]}]}`,
			network.PodPolicy{Ingress: rules(network.PolicyRule{AnyPeer: true, Ports: []network.PolicyPort{
				tcp(80, 80), tcp(8000, 8080), {Protocol: "UDP", PortRange: network.PortRange{First: 0, Last: 65535}},
			}})}},
		{"its own named port", `{podSelector: {}, ingress: [{ports: [{port: http}]}]}`,
			network.PodPolicy{Ingress: rules(network.PolicyRule{AnyPeer: true, Ports: []network.PolicyPort{tcp(8080, 8080)}})}},
		{"a named port that it has not", `{podSelector: {}, ingress: [{ports: [{port: grpc}, {port: http, protocol: UDP}]}]}`,
			network.PodPolicy{Ingress: rules()}},
		{"a peer's named port", `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}], ports: [{port: db}, {port: 53, protocol: UDP}]}]}`,
			network.PodPolicy{Egress: rules(
				network.PolicyRule{Peers: hosts("10.244.2.2"), Ports: []network.PolicyPort{tcp(5432, 5432)}},
				network.PolicyRule{Peers: hosts("10.244.2.3"), Ports: []network.PolicyPort{tcp(5433, 5433)}},
				network.PolicyRule{Peers: hosts("10.244.1.2", "10.244.2.2", "10.244.2.3"), Ports: []network.PolicyPort{{Protocol: "UDP", PortRange: network.PortRange{First: 53, Last: 53}}}},
			)}},
		{"anybody's named port", `{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: db}]}]}`,
			network.PodPolicy{Egress: rules(
				network.PolicyRule{Peers: hosts("10.244.2.2"), Ports: []network.PolicyPort{tcp(5432, 5432)}},
				network.PolicyRule{Peers: hosts("10.244.2.3"), Ports: []network.PolicyPort{tcp(5433, 5433)}},
				network.PolicyRule{Peers: hosts("10.244.2.4"), Ports: []network.PolicyPort{tcp(9090, 9090)}},
			)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, net, _ := start(t, append(world(), decode(t, tt.spec))...)
			require.Equal(t, tt.want, net.of("10.244.1.2"), "isolation holds when the pod has been admitted")
		})
	}
}

func TestFollowsChanges(t *testing.T) {
	client, net, c := start(t, world()...)
	require.Equal(t, network.PodPolicy{}, net.of("10.244.1.2"))
	eventually := func(what string, holds func(network.PodPolicy) bool) {
		t.Helper()
		require.Eventually(t, func() bool { return holds(net.of("10.244.1.2")) }, 10*time.Second, 5*time.Millisecond, what)
	}
	ctx := t.Context()
	policies := client.NetworkingV1().NetworkPolicies("shop")
	_, err := policies.Create(ctx, decode(t, `{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}}]}]}`), metav1.CreateOptions{})
	require.NoError(t, err)
	peers := func(n int) func(network.PodPolicy) bool {
		return func(p network.PodPolicy) bool { return len(p.Ingress.Allow) == 1 && len(p.Ingress.Allow[0].Peers) == n }
	}
	eventually("the policy holds", peers(2))
	_, err = client.CoreV1().Pods("shop").Create(ctx, pod("shop", "db3", "10.244.2.7", "db", 1, "app=db"), metav1.CreateOptions{})
	require.NoError(t, err)
	eventually("a peer comes", peers(3))
	_, err = client.CoreV1().Pods("shop").Update(ctx, pod("shop", "db3", "10.244.2.7", "db", 1, "app=other"), metav1.UpdateOptions{})
	require.NoError(t, err)
	eventually("a peer's label changes", peers(2))
	_, err = client.CoreV1().Pods("shop").Update(ctx, pod("shop", "web", "10.244.1.2", "http", 8080, "app=old"), metav1.UpdateOptions{})
	require.NoError(t, err)
	eventually("the pod's own label changes", func(p network.PodPolicy) bool { return !p.Ingress.Isolated })
	_, err = client.CoreV1().Pods("shop").Update(ctx, pod("shop", "web", "10.244.1.2", "http", 8080, "app=web"), metav1.UpdateOptions{})
	require.NoError(t, err)
	eventually("and back", peers(2))
	require.NoError(t, c.Admit(ctx, Pod{Addr: netip.MustParseAddr("10.244.1.3"), Namespace: "shop", Name: "web-2", Labels: map[string]string{"app": "web"}}))
	require.True(t, net.of("10.244.1.3").Ingress.Isolated, "before the API has told of the pod")
	c.Forget(netip.MustParseAddr("10.244.1.3"))
	require.NoError(t, policies.Delete(ctx, "p", metav1.DeleteOptions{}))
	eventually("the policy goes", func(p network.PodPolicy) bool { return !p.Ingress.Isolated })
}
