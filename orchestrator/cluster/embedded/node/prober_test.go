package node

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	grpchealth "google.golang.org/grpc/health/grpc_health_v1"
	grpcprobe "k8s.io/kubernetes/pkg/probe/grpc"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
	tcpprobe "k8s.io/kubernetes/pkg/probe/tcp"
)

func hostDial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// closedPort returns a port on which nobody listens.
func closedPort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func TestProbersSayWhatTheKubeletsOwnSay(t *testing.T) {
	status := http.StatusOK
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
		}
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://elsewhere.test/", http.StatusFound)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, "body")
	}))
	defer web.Close()
	closed := closedPort(t)
	httpCases := []struct {
		name, url string
		status    int
	}{
		{"success", web.URL + "/", 200},
		{"server error", web.URL + "/", 500},
		{"redirect elsewhere", web.URL + "/away", 200},
		{"refused", fmt.Sprintf("http://127.0.0.1:%d/", closed), 200},
		{"timeout", web.URL + "/slow", 200},
	}
	for _, tc := range httpCases {
		t.Run("http "+tc.name, func(t *testing.T) {
			status = tc.status
			u, err := url.Parse(tc.url)
			require.NoError(t, err)
			req, err := httpprobe.NewProbeRequest(u, http.Header{})
			require.NoError(t, err)
			want, wantText, wantErr := httpprobe.New(false).Probe(req, 200*time.Millisecond)
			got, text, err := newHTTPProber(hostDial).Probe(req, 200*time.Millisecond)
			require.Equal(t, want, got)
			require.Equal(t, wantText, text)
			require.Equal(t, wantErr, err)
		})
	}
	u, err := url.Parse(web.URL)
	require.NoError(t, err)
	open, err := strconv.Atoi(u.Port())
	require.NoError(t, err)
	for name, port := range map[string]int{"open": open, "closed": closed} {
		t.Run("tcp "+name, func(t *testing.T) {
			want, wantText, _ := tcpprobe.New().Probe("127.0.0.1", port, time.Second)
			got, text, err := tcpProber{hostDial}.Probe("127.0.0.1", port, time.Second)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, wantText, text)
		})
	}
}

func TestGRPCProberSaysWhatTheKubeletsOwnSays(t *testing.T) {
	serve := func(register func(*grpc.Server)) int {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		s := grpc.NewServer()
		register(s)
		go func() { _ = s.Serve(l) }()
		t.Cleanup(s.Stop)
		return l.Addr().(*net.TCPAddr).Port
	}
	h := health.NewServer()
	h.SetServingStatus("down", grpchealth.HealthCheckResponse_NOT_SERVING)
	healthy := serve(func(s *grpc.Server) { grpchealth.RegisterHealthServer(s, h) })
	without := serve(func(*grpc.Server) {})
	for _, tc := range []struct {
		name, service string
		port          int
	}{
		{"serving", "", healthy}, {"not serving", "down", healthy}, {"unknown service", "nosuch", healthy},
		{"no health service", "", without}, {"refused", "", closedPort(t)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want, wantText, _ := grpcprobe.New().Probe("127.0.0.1", tc.service, tc.port, 500*time.Millisecond)
			got, text, err := grpcProber{hostDial}.Probe("127.0.0.1", tc.service, tc.port, 500*time.Millisecond)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, wantText, text)
		})
	}
}
