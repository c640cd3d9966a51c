package clustertest

import (
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// Forward forwards a free port of this machine to a port of a pod until the end of the test, as kubectl port-forward does, and
// returns its address.
func (r *Rig) Forward(pod string, port int) string {
	r.T.Helper()
	stop, ready, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddresses(r.portDialer(pod), []string{"127.0.0.1"}, []string{"0:" + strconv.Itoa(port)}, stop, ready, io.Discard, io.Discard)
	require.NoError(r.T, err)
	var failed error
	go func() {
		defer close(ended)
		failed = forwarder.ForwardPorts()
	}()
	r.T.Cleanup(func() {
		close(stop)
		<-ended
	})
	select {
	case <-ready:
	case <-ended:
		require.NoError(r.T, failed, "forward port %d of pod %s", port, pod)
		r.T.Fatalf("forward port %d of pod %s: it ended before it was ready", port, pod)
	}
	ports, err := forwarder.GetPorts()
	require.NoError(r.T, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ports[0].Local)))
}

// portDialer dials as kubectl does: over a web socket, and over SPDY where the server does not know that.
func (r *Rig) portDialer(pod string) httpstream.Dialer {
	r.T.Helper()
	target := r.Kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(r.Namespace).Name(pod).SubResource("portforward").URL()
	socket, err := portforward.NewSPDYOverWebsocketDialer(target, r.REST)
	require.NoError(r.T, err)
	transport, upgrader, err := spdy.RoundTripperFor(r.REST)
	require.NoError(r.T, err)
	older := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	return portforward.NewFallbackDialer(socket, older, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
}

// Fetch gets a URL from this machine and returns the body of its answer, which has to be 200.
func (r *Rig) Fetch(url string) string {
	r.T.Helper()
	req, err := http.NewRequestWithContext(r.T.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(r.T, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.T, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(r.T, err)
	require.Equal(r.T, http.StatusOK, resp.StatusCode, "%s: %s", url, body)
	return string(body)
}
