package dns

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/internal/syncbuf"
	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/programtest"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// container is the system of a container with this Corefile and a service account for the API server.
func container(t *testing.T, corefile string, api *httptest.Server) (*program.Sys, string, *syncbuf.Buffer) {
	t.Helper()
	root := t.TempDir()
	write := func(name string, data []byte) {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	write("etc/coredns/Corefile", []byte(corefile))
	write("etc/resolv.conf", nil)
	env := map[string]string{}
	if api != nil {
		write(serviceAccount+"token", []byte("secret\n"))
		write(serviceAccount+"ca.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}))
		env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"], _ = strings.Cut(strings.TrimPrefix(api.URL, "https://"), ":")
	}
	tree, err := sandbox.NewTree(&sandbox.Container{Root: root})
	require.NoError(t, err)
	t.Cleanup(func() { tree.Close() })
	im := Image()
	system, err := program.System(&im, nil)
	require.NoError(t, err)
	out := &syncbuf.Buffer{}
	return &program.Sys{
		Net: &programtest.Loopback{Network: system.Net}, Files: tree, Env: env, Args: []string{"-conf", "/etc/coredns/Corefile"},
		Stdout: out, Stderr: out, Clock: clock.RealClock{},
	}, root, out
}

// start runs the program until the test ends and waits until it answers.
func start(t *testing.T, sys *program.Sys) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, sys) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	require.Eventually(t, func() bool {
		select {
		case err := <-done:
			done <- err
			require.NoError(t, err)
		default:
		}
		_, err := exchange(ctx, sys, "udp", "127.0.0.1:53", new(miekg.Msg).SetQuestion("x.invalid.", miekg.TypeA))
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
}

// ask returns the answer's code and records, without their head.
func ask(t *testing.T, sys *program.Sys, name string, kind uint16) string {
	t.Helper()
	in, err := exchange(t.Context(), sys, "udp", "127.0.0.1:53", new(miekg.Msg).SetQuestion(name, kind))
	require.NoError(t, err)
	out := []string{miekg.RcodeToString[in.Rcode]}
	for _, rr := range in.Answer {
		out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	return strings.Join(out, " ")
}

func fetch(t *testing.T, sys *program.Sys, address, path string) (int, string) {
	t.Helper()
	tr := &http.Transport{DialContext: sys.Net.DialContext, DisableKeepAlives: true}
	r, err := (&http.Client{Transport: tr}).Get("http://" + address + path)
	require.NoError(t, err)
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(body)
}

// apiServer serves lists of a few objects, and watches in which nothing happens.
func apiServer(t *testing.T) *httptest.Server {
	meta := func(ns, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: ns, Name: name, ResourceVersion: "1"}
	}
	slice := discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{Kind: "EndpointSlice", APIVersion: "discovery.k8s.io/v1"}, ObjectMeta: meta("shop", "db-1"), AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.244.1.7"}, Hostname: ptr.To("db-0")}, {Addresses: []string{"10.244.2.7"}}},
		Ports:     []discoveryv1.EndpointPort{{Name: ptr.To("mysql"), Port: ptr.To(int32(3306)), Protocol: ptr.To(corev1.ProtocolTCP)}},
	}
	slice.Labels = map[string]string{discoveryv1.LabelServiceName: "db"}
	port := []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}
	lists := map[string]any{
		"/api/v1/services": corev1.ServiceList{TypeMeta: metav1.TypeMeta{Kind: "ServiceList", APIVersion: "v1"}, ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Service{
			{ObjectMeta: meta("shop", "web"), Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.20", ClusterIPs: []string{"10.96.0.20"}, Ports: port}},
			{ObjectMeta: meta("shop", "db"), Spec: corev1.ServiceSpec{ClusterIP: "None", ClusterIPs: []string{"None"}, Ports: []corev1.ServicePort{{Name: "mysql", Port: 3306}}}},
			{ObjectMeta: meta("shop", "ext"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "web.shop.svc.cluster.local"}},
		}},
		"/api/v1/namespaces": corev1.NamespaceList{TypeMeta: metav1.TypeMeta{Kind: "NamespaceList", APIVersion: "v1"}, ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []corev1.Namespace{{ObjectMeta: meta("", "shop")}}},
		"/apis/discovery.k8s.io/v1/endpointslices": discoveryv1.EndpointSliceList{
			TypeMeta: metav1.TypeMeta{Kind: "EndpointSliceList", APIVersion: "discovery.k8s.io/v1"}, ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: []discoveryv1.EndpointSlice{slice},
		},
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list, ok := lists[r.URL.Path]
		switch {
		case r.Header.Get("Authorization") != "Bearer secret":
			w.WriteHeader(http.StatusUnauthorized)
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Query().Get("sendInitialEvents") != "":
			w.WriteHeader(http.StatusUnprocessableEntity)
		case r.URL.Query().Get("watch") != "":
			w.Header().Set("Content-Type", "application/json")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(list)
		}
	}))
	srv.Config.TLSConfig = &tls.Config{}
	srv.StartTLS()
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

const clusterCorefile = `.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
`

func TestClusterNames(t *testing.T) {
	sys, _, out := container(t, clusterCorefile, apiServer(t))
	start(t, sys)
	for _, tt := range []struct {
		name string
		kind uint16
		want string
	}{
		{"web.shop.svc.cluster.local.", miekg.TypeA, "NOERROR 10.96.0.20"},
		{"web.shop.svc.cluster.local.", miekg.TypeAAAA, "NOERROR"},
		{"_http._tcp.web.shop.svc.cluster.local.", miekg.TypeSRV, "NOERROR 0 100 80 web.shop.svc.cluster.local."},
		{"db-0.db.shop.svc.cluster.local.", miekg.TypeA, "NOERROR 10.244.1.7"},
		{"ext.shop.svc.cluster.local.", miekg.TypeA, "NOERROR web.shop.svc.cluster.local. 10.96.0.20"},
		{"20.0.96.10.in-addr.arpa.", miekg.TypePTR, "NOERROR web.shop.svc.cluster.local."},
		{"7.1.244.10.in-addr.arpa.", miekg.TypePTR, "NOERROR db-0.db.shop.svc.cluster.local."},
		{"10-244-1-9.shop.pod.cluster.local.", miekg.TypeA, "NOERROR 10.244.1.9"},
		{"wbe.shop.svc.cluster.local.", miekg.TypeA, "NXDOMAIN"},
		{"web.other.svc.cluster.local.", miekg.TypeA, "NXDOMAIN"},
		{"example.com.", miekg.TypeA, "NXDOMAIN"},
	} {
		require.Equal(t, tt.want, ask(t, sys, tt.name, tt.kind), tt.name)
	}
	headless := ask(t, sys, "db.shop.svc.cluster.local.", miekg.TypeA)
	require.Contains(t, headless, "10.244.1.7")
	require.Contains(t, headless, "10.244.2.7")
	require.Contains(t, out.String(), "CoreDNS-1.12.4\n")
	for _, tt := range []struct {
		address, path, want string
	}{{"127.0.0.1:8080", "/health", "OK"}, {"127.0.0.1:8181", "/ready", "OK"}, {"127.0.0.1:9153", "/metrics", `coredns_dns_requests_total{family="1",proto="udp",server="dns://:53"`}} {
		code, body := fetch(t, sys, tt.address, tt.path)
		require.Equal(t, http.StatusOK, code)
		require.Contains(t, body, tt.want)
	}
}

func TestBrokenCorefiles(t *testing.T) {
	for _, tt := range []struct{ name, corefile, want string }{
		{"unknown directive", ".:53 {\n  erors\n}\n", "/etc/coredns/Corefile:2 - Error during parsing: Unknown directive 'erors'"},
		{"unclosed block", ".:53 {\n  errors\n", "/etc/coredns/Corefile:2 - Syntax error: Unexpected token 'errors', expecting '}'"},
		{"unknown property", ".:53 {\n  forward . 10.0.0.1 {\n    fast\n  }\n}\n", "plugin/forward: /etc/coredns/Corefile:3 - Error during parsing: unknown property 'fast'"},
		{"bad upstream", ".:53 {\n  forward . upstream\n}\n", `plugin/forward: not an IP address or file: "upstream"`},
		{"bad pods", ".:53 {\n  kubernetes cluster.local {\n    pods maybe\n  }\n}\n", "plugin/kubernetes: wrong value for pods: maybe,  must be one of: disabled, verified, insecure"},
		{"bad cache", ".:53 {\n  cache {\n    success many\n  }\n}\n", "plugin/cache: strconv.Atoi"},
		{"bad reload", ".:53 {\n  reload 1s\n}\n", "plugin/reload: interval value must be greater or equal to 2s"},
		{"twice", ".:53 {\n  errors\n}\n.:53 {\n  errors\n}\n", "cannot serve dns://.:53 - it is already defined"},
		{"not built in", ".:53 {\n  route53\n}\n", "no action found for directive 'route53'"},
		{"a file of the host", ".:53 {\n  import /etc/passwd\n}\n", "/etc/coredns/Corefile:2 - Error during parsing: File to import not found: /etc/passwd"},
		{"a file of the host in a plugin", ".:53 {\n  hosts {\n    import /etc/pass*\n  }\n}\n", "File to import not found: /etc/pass*"},
		{"a snippet that comes later", ".:53 {\n  import late\n}\n(late) {\n  errors\n}\n", "File to import not found: late"},
		{"what a snippet holds", "(common) {\n  erors\n}\n.:53 {\n  import common\n}\n", "Unknown directive 'erors'"},
		{"not in a cluster", ".:53 {\n  kubernetes\n}\n", "unable to load in-cluster configuration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sys, _, _ := container(t, tt.corefile, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			require.ErrorContains(t, Run(ctx, sys), tt.want)
		})
	}
}

func TestReload(t *testing.T) {
	corefile := func(addr string) string {
		return fmt.Sprintf(".:53 {\n  reload 2s 1s\n  hosts {\n    %s web.example.org\n    fallthrough\n  }\n  template IN A other.example.org {\n    answer \"{{ .Name }} 60 IN A 10.9.9.9\"\n  }\n}\n", addr)
	}
	sys, root, out := container(t, corefile("10.0.0.1"), nil)
	start(t, sys)
	require.Equal(t, "NOERROR 10.0.0.1", ask(t, sys, "web.example.org.", miekg.TypeA))
	require.Equal(t, "NOERROR 10.9.9.9", ask(t, sys, "other.example.org.", miekg.TypeA))
	path := filepath.Join(root, "etc/coredns/Corefile")
	require.NoError(t, os.WriteFile(path, []byte(".:53 {\n  nonsense\n}\n"), 0o600))
	require.Eventually(t, func() bool {
		return strings.Contains(out.String(), "plugin/reload: Corefile changed but reload failed")
	}, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, "NOERROR 10.0.0.1", ask(t, sys, "web.example.org.", miekg.TypeA))
	require.NoError(t, os.WriteFile(path, []byte(corefile("10.0.0.2")), 0o600))
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "Reloading complete") }, 10*time.Second, 20*time.Millisecond)
	require.Equal(t, "NOERROR 10.0.0.2", ask(t, sys, "web.example.org.", miekg.TypeA))
}

func TestForwardAndLoop(t *testing.T) {
	up, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &miekg.Server{PacketConn: up, Handler: miekg.HandlerFunc(func(w miekg.ResponseWriter, r *miekg.Msg) {
		m := new(miekg.Msg).SetReply(r)
		rr, _ := miekg.NewRR(r.Question[0].Name + " 60 IN A 192.0.2.7")
		m.Answer = append(m.Answer, rr)
		_ = w.WriteMsg(m)
	})}
	done := make(chan error, 1)
	go func() { done <- srv.ActivateAndServe() }()
	defer func() {
		require.NoError(t, srv.Shutdown())
		<-done
	}()
	sys, _, _ := container(t, ".:53 {\n  forward . "+up.LocalAddr().String()+" {\n    except cluster.local\n  }\n}\n", nil)
	start(t, sys)
	require.Equal(t, "NOERROR 192.0.2.7", ask(t, sys, "example.com.", miekg.TypeA))
	require.Equal(t, "SERVFAIL", ask(t, sys, "web.cluster.local.", miekg.TypeA))

	// A server that forwards to itself goes in circles, and says so.
	sys, _, _ = container(t, ".:53 {\n  loop\n  forward . 127.0.0.1:53\n}\n", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.ErrorContains(t, Run(ctx, sys), "Loop (")
}
