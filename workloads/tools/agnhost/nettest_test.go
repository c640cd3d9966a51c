package agnhost

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program"
)

// TestNettest runs two pods of a Service: each finds the other through the API server, and both say that all went well.
func TestNettest(t *testing.T) {
	t.Parallel()
	var ports []string
	listening := make(chan struct{})
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/namespaces/test/endpoints/web" || r.Header.Get("Authorization") != "Bearer secret" {
			http.NotFound(w, r)
			return
		}
		<-listening
		fmt.Fprintf(w, `{"subsets":[{"addresses":[{"ip":"127.0.0.1"}],"ports":[{"port":%s},{"port":%s}]}]}`, ports[0], ports[1])
	}))
	t.Cleanup(api.Close)
	host, port, err := net.SplitHostPort(api.Listener.Addr().String())
	require.NoError(t, err)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})
	var pods []pod
	for i := range 2 {
		p := newPod(t, "nettest", "--peers=2", "--service=web", "--namespace=test")
		p.sys.Hostname = fmt.Sprintf("pod-%d", i)
		p.sys.Env = map[string]string{"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
		require.NoError(t, p.sys.Files.MkdirAll(serviceAccount, 0o755))
		require.NoError(t, program.WriteFile(p.sys.Files, serviceAccount+"ca.crt", ca, 0o644))
		require.NoError(t, program.WriteFile(p.sys.Files, serviceAccount+"token", []byte("secret\n"), 0o600))
		p.start(t, "tcp:8080")
		_, actual, err := net.SplitHostPort(p.net.Address("tcp:8080"))
		require.NoError(t, err)
		ports = append(ports, actual)
		pods = append(pods, p)
	}
	_, status := pods[0].get(t, "http://pod:8080/status")
	require.Equal(t, "running", status, "nobody has answered yet")
	close(listening)
	for _, p := range pods {
		require.Eventually(t, func() bool {
			_, status := p.get(t, "http://pod:8080/status")
			return status == "pass"
		}, 20*time.Second, 5*time.Millisecond)
		_, body := p.get(t, "http://pod:8080/read")
		var state struct {
			Hostname       string
			Sent, Received map[string]int
			Errors         []string
		}
		require.NoError(t, json.Unmarshal([]byte(body), &state))
		require.Equal(t, p.sys.Hostname, state.Hostname)
		require.Contains(t, state.Sent, "pod-0")
		require.Contains(t, state.Sent, "pod-1")
		require.Contains(t, state.Received, "pod-0")
		require.Contains(t, state.Received, "pod-1")
		require.Empty(t, state.Errors)
	}
}
