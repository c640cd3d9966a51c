package controller_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/syncbuf"
	"github.com/gameday-bench/gameday/workloads/ingress/controller"
)

// edge is a controller on a cluster that holds only what a test puts there.
type edge struct {
	*controller.Controller
	kube  *fake.Clientset
	plain *httptest.Server
	tls   *httptest.Server
	log   *syncbuf.Buffer
}

// silent is an address whose connections are never made, and gone one where nobody listens.
const silent, gone = "192.0.2.1", "192.0.2.2"

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	switch host, _, _ := net.SplitHostPort(address); host {
	case silent:
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: network, Err: context.DeadlineExceeded}
	case gone:
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("connection refused")}
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func newEdge(t *testing.T, change func(*controller.Options), objects ...runtime.Object) *edge {
	t.Helper()
	e := &edge{log: &syncbuf.Buffer{}}
	objects = append(objects, &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "nginx"}, Spec: networkingv1.IngressClassSpec{Controller: "k8s.io/ingress-nginx"}},
		&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: networkingv1.IngressClassSpec{Controller: "example.com/other"}})
	e.kube = fake.NewClientset(objects...)
	o := controller.Options{
		Client: e.kube, Dial: dial, ControllerClass: "k8s.io/ingress-nginx", Class: "nginx", Namespace: "ingress-nginx", Pod: "pod",
		AccessLog: e.log, Log: slog.New(slog.DiscardHandler), Clock: clock.RealClock{},
	}
	if change != nil {
		change(&o)
	}
	var err error
	e.Controller, err = controller.New(o)
	require.NoError(t, err)
	require.NoError(t, e.Watch(t.Context()))
	e.plain = httptest.NewServer(e.Handler(false))
	t.Cleanup(e.plain.Close)
	e.tls = httptest.NewUnstartedServer(e.Handler(true))
	e.tls.TLS = e.TLS()
	e.tls.EnableHTTP2 = true
	e.tls.StartTLS()
	t.Cleanup(e.tls.Close)
	return e
}

// get asks for a URL's host and path over plain HTTP and returns status, body and headers.
func (e *edge) get(t *testing.T, url string, header ...string) (int, string, http.Header) {
	t.Helper()
	return e.do(t, http.MethodGet, url, nil, header...)
}

func (e *edge) do(t *testing.T, method, url string, body io.Reader, header ...string) (int, string, http.Header) {
	t.Helper()
	host, path, _ := strings.Cut(url, "/")
	req, err := http.NewRequestWithContext(t.Context(), method, e.plain.URL+"/"+path, body)
	require.NoError(t, err)
	req.Host = host
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(data), resp.Header
}

// secure asks over HTTPS for a host and returns the response and the certificate that was shown.
func (e *edge) secure(t *testing.T, host string) (*http.Response, *x509.Certificate) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.tls.URL+"/", nil)
	require.NoError(t, err)
	req.Host = host
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{ServerName: host, InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
	}
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp, resp.TLS.PeerCertificates[0]
}

// metrics returns what /metrics says.
func (e *edge) metrics(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	e.Status().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// ingress decodes an Ingress of class nginx.
func ingress(t *testing.T, text string) *networkingv1.Ingress {
	t.Helper()
	class := "nginx"
	out := &networkingv1.Ingress{Spec: networkingv1.IngressSpec{IngressClassName: &class}}
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), out))
	out.Namespace = "shop"
	return out
}

// service is a Service whose port 80 is called http, with the endpoints behind it.
func service(name string, endpoints ...string) []runtime.Object {
	meta := metav1.ObjectMeta{Name: name, Namespace: "shop", Labels: map[string]string{discoveryv1.LabelServiceName: name}}
	svc := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{ClusterIP: "10.96.7.7", Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("web")}}}}
	out := []runtime.Object{svc}
	for i, endpoint := range endpoints {
		host, port, _ := net.SplitHostPort(endpoint)
		number, _ := strconv.Atoi(port)
		slice := &discoveryv1.EndpointSlice{ObjectMeta: *meta.DeepCopy(), AddressType: discoveryv1.AddressTypeIPv4}
		slice.Name = fmt.Sprintf("%s-%d", name, i)
		portName, p, ready := "http", int32(number), true
		slice.Ports = []discoveryv1.EndpointPort{{Name: &portName, Port: &p}}
		slice.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{host}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}}
		out = append(out, slice)
	}
	return out
}

// server says its name and what it was asked.
func server(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/slow"):
			<-r.Context().Done()
		case strings.HasSuffix(r.URL.Path, "/headers"):
			_ = json.NewEncoder(w).Encode(map[string]any{"host": r.Host, "header": r.Header})
		case strings.HasSuffix(r.URL.Path, "/count"):
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		default:
			fmt.Fprint(w, name, " ", r.URL.RequestURI())
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// secret is a Secret with a certificate for a host that ends at a time.
func secret(t *testing.T, name, host string, end time.Time) *corev1.Secret {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: end.AddDate(-1, 0, 0), NotAfter: end,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{
			corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
			corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		},
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 10*time.Second, 10*time.Millisecond, what)
}
