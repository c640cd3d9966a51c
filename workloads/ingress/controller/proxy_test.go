package controller_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// site is an Ingress for one host with annotations.
func site(t *testing.T, name, annotations string) runtime.Object {
	return ingress(t, `{metadata: {name: `+name+`, annotations: {`+annotations+`}}, spec: {rules: [{host: `+name+`.example, http: {paths: [
		{path: /, pathType: Prefix, backend: {service: {name: `+name+`, port: {number: 80}}}}]}}]}}`)
}

func TestForwardedHeaders(t *testing.T) {
	e := newEdge(t, nil, all(service("a", server(t, "a")), []runtime.Object{site(t, "a", "")})...)
	status, body, _ := e.get(t, "a.example/headers", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "https", "X-Request-Id", "mine", "X-Other", "kept")
	require.Equal(t, 200, status)
	var got struct {
		Host   string
		Header http.Header
	}
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	require.Equal(t, "a.example", got.Host)
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "127.0.0.1", "X-Forwarded-Host": "a.example", "X-Forwarded-Port": "80", "X-Forwarded-Proto": "http",
		"X-Forwarded-Scheme": "http", "X-Scheme": "http", "X-Request-Id": "mine", "X-Original-Forwarded-For": "6.6.6.6", "X-Other": "kept",
	} {
		require.Equal(t, []string{want}, got.Header.Values(name), name)
	}
}

func TestEndpointsThatFail(t *testing.T) {
	a := server(t, "a")
	broken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { broken.Close() })
	go func() {
		for conn, err := broken.Accept(); err == nil; conn, err = broken.Accept() {
			_, _ = bufio.NewReader(conn).ReadString('\n')
			conn.Close()
		}
	}()
	e := newEdge(t, nil, all(
		service("refused", gone+":80"), service("silent", silent+":80"), service("slow", a), service("sized", a), service("half", a, gone+":80"), service("broken", broken.Addr().String()),
		[]runtime.Object{
			site(t, "refused", ""), site(t, "silent", `nginx.ingress.kubernetes.io/proxy-connect-timeout: "1"`),
			site(t, "slow", `nginx.ingress.kubernetes.io/proxy-read-timeout: "1", nginx.ingress.kubernetes.io/proxy-connect-timeout: "1"`),
			site(t, "sized", `nginx.ingress.kubernetes.io/proxy-body-size: 1k`),
			site(t, "half", ""), site(t, "broken", ""),
		})...)
	for url, want := range map[string]int{"refused.example/": 502, "silent.example/": 504, "slow.example/slow": 504, "broken.example/": 502} {
		status, _, _ := e.get(t, url)
		require.Equal(t, want, status, url)
	}
	for range 6 {
		status, body, _ := e.do(t, http.MethodPost, "half.example/count", strings.NewReader("body"))
		require.Equal(t, 200, status, "a connection that fails is no reason to fail a request")
		require.Equal(t, "4 <nil>", body)
	}
	status, _, _ := e.do(t, http.MethodPost, "sized.example/count", strings.NewReader(strings.Repeat("x", 1025)))
	require.Equal(t, 413, status)
	status, body, _ := e.do(t, http.MethodPost, "sized.example/count", strings.NewReader(strings.Repeat("x", 1024)))
	require.Equal(t, 200, status)
	require.Equal(t, "1024 <nil>", body)
}

func TestEndpointsTakeTurns(t *testing.T) {
	e := newEdge(t, nil, all(service("a", server(t, "one"), server(t, "two")), []runtime.Object{site(t, "a", "")})...)
	seen := map[string]int{}
	for range 10 {
		_, body, _ := e.get(t, "a.example/")
		seen[body]++
	}
	require.Equal(t, map[string]int{"one /": 5, "two /": 5}, seen)
}

func TestUpgrade(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprintf(rw, "echo %s", line)
		_ = rw.Flush()
	}))
	t.Cleanup(s.Close)
	e := newEdge(t, nil, all(service("a", s.Listener.Addr().String()), []runtime.Object{site(t, "a", "")})...)
	conn, err := net.Dial("tcp", e.plain.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.Equal(t, 101, resp.StatusCode)
	fmt.Fprintf(conn, "hello\n")
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "echo hello\n", line)
}

func TestExternalNameAndHTTPSEndpoints(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "tls ", r.TLS != nil) }))
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(server(t, "outside"))
	out := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "out", Namespace: "shop"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"}}
	e := newEdge(t, nil, all(service("b", s.Listener.Addr().String()), []runtime.Object{
		out, site(t, "b", `nginx.ingress.kubernetes.io/backend-protocol: HTTPS`),
		ingress(t, `{metadata: {name: out}, spec: {rules: [{host: out.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: out, port: {number: `+port+`}}}}]}}]}}`),
	})...)
	_, body, _ := e.get(t, "b.example/")
	require.Equal(t, "tls true", body)
	_, body, _ = e.get(t, "out.example/x")
	require.Equal(t, "outside /x", body)
}

func TestTLS(t *testing.T) {
	a := server(t, "a")
	tlsSite := func(name, secret, annotations string) runtime.Object {
		return ingress(t, `{metadata: {name: `+name+`, annotations: {`+annotations+`}}, spec: {tls: [{hosts: [`+name+`.example], secretName: `+secret+`}], rules: [{host: `+name+`.example, http: {paths: [
			{path: /, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]}}`)
	}
	ended := time.Now().Add(-time.Hour).Truncate(time.Second)
	e := newEdge(t, nil, all(service("a", a), []runtime.Object{
		secret(t, "good", "good.example", time.Now().AddDate(0, 1, 0)), secret(t, "ended", "ended.example", ended), secret(t, "foreign", "else.example", time.Now().AddDate(0, 1, 0)),
		secret(t, "wild", "*.wild.example", time.Now().AddDate(0, 1, 0)),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "empty", Namespace: "shop"}},
		tlsSite("good", "good", ""), tlsSite("ended", "ended", ""), tlsSite("missing", "nosuch", ""), tlsSite("foreign", "foreign", ""), tlsSite("empty", "empty", ""),
		tlsSite("both", "good", `nginx.ingress.kubernetes.io/ssl-redirect: "false"`), tlsSite("one.wild", "wild", ""),
		ingress(t, `{metadata: {name: forced, annotations: {nginx.ingress.kubernetes.io/force-ssl-redirect: "true"}}, spec: {rules: [{host: forced.example, http: {paths: [
			{path: /, pathType: Prefix, backend: {service: {name: a, port: {number: 80}}}}]}}]}}`),
	})...)
	const fake = "Kubernetes Ingress Controller Fake Certificate"
	for host, want := range map[string]string{
		"good.example": "good.example", "GOOD.example": "good.example", "ended.example": "ended.example", "one.wild.example": "*.wild.example", "missing.example": fake, "foreign.example": fake, "empty.example": fake,
		"both.example": fake, "unknown.example": fake,
	} {
		resp, shown := e.secure(t, host)
		require.Equal(t, want, shown.Subject.CommonName, host)
		if host != "unknown.example" {
			require.Equal(t, 200, resp.StatusCode, host)
			require.Equal(t, "HTTP/2.0", resp.Proto)
			require.NotEmpty(t, resp.Header.Get("Strict-Transport-Security"))
		}
	}
	for host, want := range map[string]int{"good": 308, "missing": 308, "forced": 308, "both": 200} {
		status, _, header := e.get(t, host+".example/x?y=1")
		require.Equal(t, want, status, host)
		if want == 308 {
			require.Equal(t, "https://"+host+".example/x?y=1", header.Get("Location"))
		}
	}
	text := e.metrics(t)
	require.Contains(t, text, fmt.Sprintf(`nginx_ingress_controller_ssl_expire_time_seconds{controller_class="k8s.io/ingress-nginx",controller_namespace="ingress-nginx",controller_pod="pod",host="ended.example"} %v`, float64(ended.Unix())))
	require.NotContains(t, text, `host="missing.example"} 1`)
	// A certificate that is renewed is served without a restart.
	next := secret(t, "ended", "ended.example", time.Now().AddDate(0, 1, 0))
	_, err := e.kube.CoreV1().Secrets("shop").Update(t.Context(), next, metav1.UpdateOptions{})
	require.NoError(t, err)
	eventually(t, "the new certificate is shown", func() bool {
		_, shown := e.secure(t, "ended.example")
		return shown.NotAfter.After(time.Now())
	})
}
