package daemons_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	dnspb "github.com/chaos-mesh/k8s_dns_chaos/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/daemons"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

func cluster() *spec.Cluster {
	return &spec.Cluster{
		Network: spec.Network{DNS: netip.MustParseAddr("10.96.0.10")},
		Nodes: []spec.Node{
			{Name: "node-1", Loopback: netip.MustParseAddr("127.0.0.11")},
			{Name: "node-2", Loopback: netip.MustParseAddr("127.0.0.12")},
		},
	}
}

func TestReaderFindsEachNodesDaemon(t *testing.T) {
	r := daemons.Reader{Reader: fake.NewClientBuilder().Build(), Cluster: cluster()}
	var list discoveryv1.EndpointSliceList
	require.NoError(t, r.List(t.Context(), &list, client.InNamespace(daemons.Namespace)))
	require.Len(t, list.Items, 1)
	require.Regexp(t, "^chaos-daemon-", list.Items[0].Name, "the prefix that the controllers look for")
	found := map[string]string{}
	for _, e := range list.Items[0].Endpoints {
		found[*e.NodeName] = e.Addresses[0]
	}
	require.Equal(t, map[string]string{"node-1": "127.0.0.11", "node-2": "127.0.0.12"}, found)
}

func TestClientShowsTheRelayAndNothingElse(t *testing.T) {
	objects := []client.Object{
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: daemons.DNSService}, Spec: corev1.ServiceSpec{ClusterIP: "10.96.7.7"}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: daemons.Namespace, Name: "other", Labels: map[string]string{"a": "b"}}},
	}
	c := daemons.Client{Client: fake.NewClientBuilder().WithObjects(objects...).Build(), Cluster: cluster()}
	var svc corev1.Service
	require.NoError(t, c.Get(t.Context(), client.ObjectKey{Namespace: daemons.Namespace, Name: daemons.DNSService}, &svc))
	require.Equal(t, "10.96.0.10", svc.Spec.ClusterIP)

	var pods corev1.PodList
	require.NoError(t, c.List(t.Context(), &pods, &client.ListOptions{
		Namespace: daemons.Namespace, LabelSelector: labels.SelectorFromSet(svc.Spec.Selector),
	}))
	require.Len(t, pods.Items, 1)
	require.Equal(t, "127.0.0.1", pods.Items[0].Status.PodIP)

	require.NoError(t, c.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: daemons.DNSService}, &svc))
	require.Equal(t, "10.96.7.7", svc.Spec.ClusterIP, "a Service of that name elsewhere is somebody else's")
	require.NoError(t, c.List(t.Context(), &pods, client.InNamespace(daemons.Namespace), client.MatchingLabels{"a": "b"}))
	require.Len(t, pods.Items, 1)
	require.Equal(t, "other", pods.Items[0].Name)
	require.NoError(t, c.List(t.Context(), &pods, client.InNamespace(daemons.Namespace)))
	require.Len(t, pods.Items, 1)
}

// daemon records what the relay sends to one node.
type daemon struct {
	set, cancelled chan string
	answer         *dnspb.DNSChaosResponse
}

func (d *daemon) SetDNSChaos(_ context.Context, r *dnspb.SetDNSChaosRequest) (*dnspb.DNSChaosResponse, error) {
	for _, p := range r.Pods {
		d.set <- r.Name + " " + r.Action + " " + r.Patterns[0] + " " + p.Namespace + "/" + p.Name
	}
	return d.answer, nil
}

func (d *daemon) CancelDNSChaos(_ context.Context, r *dnspb.CancelDNSChaosRequest) (*dnspb.DNSChaosResponse, error) {
	d.cancelled <- r.Name
	return d.answer, nil
}

// start serves d on address with the port of c, and chooses one if c has none.
func start(t *testing.T, c *spec.Cluster, address netip.Addr, d *daemon) {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, uint16(c.Ports.ChaosDaemon))))
	require.NoError(t, err)
	c.Ports.ChaosDaemon = l.Addr().(*net.TCPAddr).Port
	d.set, d.cancelled = make(chan string, 10), make(chan string, 10)
	if d.answer == nil {
		d.answer = &dnspb.DNSChaosResponse{Result: true}
	}
	s := grpc.NewServer()
	dnspb.RegisterDNSServer(s, d)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
}

func relay(c *spec.Cluster) *daemons.DNS {
	nodes := map[string]string{"shop/cart": "node-1", "shop/user": "node-2"}
	return &daemons.DNS{
		Cluster: c, Credentials: insecure.NewCredentials(),
		NodeOf: func(_ context.Context, namespace, pod string) (string, error) {
			if n, ok := nodes[namespace+"/"+pod]; ok {
				return n, nil
			}
			return "", errors.New("no such pod")
		},
	}
}

func request(pods ...*dnspb.Pod) *dnspb.SetDNSChaosRequest {
	return &dnspb.SetDNSChaosRequest{Name: "x", Action: "error", Patterns: []string{"db.*"}, Pods: pods}
}

func TestRulesGoToTheNodeOfThePod(t *testing.T) {
	c := cluster()
	one, two := &daemon{}, &daemon{}
	start(t, c, c.Nodes[0].Loopback, one)
	start(t, c, c.Nodes[1].Loopback, two)
	r := relay(c)
	res, err := r.SetDNSChaos(t.Context(), request(&dnspb.Pod{Namespace: "shop", Name: "user"}))
	require.NoError(t, err)
	require.True(t, res.Result)
	require.Equal(t, "x error db.* shop/user", <-two.set)
	require.Empty(t, one.set)

	res, err = r.CancelDNSChaos(t.Context(), &dnspb.CancelDNSChaosRequest{Name: "x"})
	require.NoError(t, err)
	require.True(t, res.Result)
	require.Equal(t, "x", <-one.cancelled)
	require.Equal(t, "x", <-two.cancelled)
}

func TestADeadNodeHasNoRulesToCancel(t *testing.T) {
	c := cluster()
	one := &daemon{}
	start(t, c, c.Nodes[0].Loopback, one)
	res, err := relay(c).CancelDNSChaos(t.Context(), &dnspb.CancelDNSChaosRequest{Name: "x"})
	require.NoError(t, err)
	require.True(t, res.Result)
	require.Equal(t, "x", <-one.cancelled)
}

func TestFailuresReachTheController(t *testing.T) {
	c := cluster()
	one := &daemon{answer: &dnspb.DNSChaosResponse{Result: false, Msg: "no"}}
	start(t, c, c.Nodes[0].Loopback, one)
	r := relay(c)
	res, err := r.SetDNSChaos(t.Context(), request(&dnspb.Pod{Namespace: "shop", Name: "cart"}))
	require.NoError(t, err)
	require.False(t, res.Result)
	require.Equal(t, "no", res.Msg)

	_, err = r.SetDNSChaos(t.Context(), request(&dnspb.Pod{Namespace: "shop", Name: "user"}))
	require.Equal(t, codes.Unavailable, status.Code(err), "node-2 is dead")
	_, err = r.SetDNSChaos(t.Context(), request(&dnspb.Pod{Namespace: "shop", Name: "ghost"}))
	require.Equal(t, codes.NotFound, status.Code(err))

	res, err = r.CancelDNSChaos(t.Context(), &dnspb.CancelDNSChaosRequest{Name: "x"})
	require.NoError(t, err)
	require.False(t, res.Result)
	require.Contains(t, res.Msg, "node-1")
}
