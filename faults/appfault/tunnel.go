package appfault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/transport/spdy"

	"github.com/gameday-bench/gameday/faults"
)

// readyPod returns the first ready pod behind the store's Service.
func readyPod(ctx context.Context, env faults.Env, store Store) (string, error) {
	slices, err := env.Kubernetes.DiscoveryV1().EndpointSlices(store.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: discoveryv1.LabelServiceName + "=" + store.Service,
	})
	if err != nil {
		return "", fmt.Errorf("find a pod of store %s: %w", store.Service, err)
	}
	for _, slice := range slices.Items {
		for _, e := range slice.Endpoints {
			if e.TargetRef != nil && e.TargetRef.Kind == "Pod" && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				return e.TargetRef.Name, nil
			}
		}
	}
	return "", fmt.Errorf("find a pod of store %s: it has no ready endpoint", store.Service)
}

// tunnel is one port-forward session to a pod, on which any number of connections are made, one stream pair each.
type tunnel struct {
	conn httpstream.Connection
	port int
	next atomic.Int64
}

// portForward is the name of the protocol of the portforward subresource.
const portForward = "portforward.k8s.io"

func openTunnel(env faults.Env, namespace, pod string, port int) (*tunnel, error) {
	transport, upgrader, err := spdy.RoundTripperFor(env.REST)
	if err != nil {
		return nil, fmt.Errorf("prepare port forwarding: %w", err)
	}
	url := env.Kubernetes.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	conn, _, err := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url).Dial(portForward)
	if err != nil {
		return nil, fmt.Errorf("forward a port of pod %s/%s: %w", namespace, pod, err)
	}
	return &tunnel{conn: conn, port: port}, nil
}

// dial makes one connection to the pod's port.
func (t *tunnel) dial() (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(t.port))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.FormatInt(t.next.Add(1), 10))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	failures, err := t.conn.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("open error stream: %w", err)
	}
	_ = failures.Close() // this side says nothing on it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := t.conn.CreateStream(headers)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open data stream: %w", err), failures.Reset())
	}
	return &streamConn{Stream: data, failures: failures}, nil
}

func (t *tunnel) close() error { return t.conn.Close() }

// streamConn is a forwarded connection. It has no deadlines: the session is closed when time is up.
type streamConn struct {
	httpstream.Stream
	failures httpstream.Stream
}

func (c *streamConn) Close() error { return errors.Join(c.Stream.Reset(), c.failures.Reset()) }

func (*streamConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*streamConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*streamConn) SetDeadline(time.Time) error      { return nil }
func (*streamConn) SetReadDeadline(time.Time) error  { return nil }
func (*streamConn) SetWriteDeadline(time.Time) error { return nil }
