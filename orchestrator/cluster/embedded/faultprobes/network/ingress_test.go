package network

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/workloads/ingress"
)

// The hosts of the application's front door: over HTTP, and over HTTPS with a certificate.
const plainHost, secureHost = "hotel.example", "secure.hotel.example"

// frontDoor is the Ingress of the application, and two users of it: the second one verifies the certificate.
const frontDoor = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: front}
spec:
  ingressClassName: nginx
  tls: [{hosts: [secure.hotel.example], secretName: front-tls}]
  rules:
  - host: hotel.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: frontend, port: {name: http}}}}]}
  - host: secure.hotel.example
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: frontend, port: {name: http}}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: front-users}
spec:
  terminationGracePeriodSeconds: 0
  hostAliases: [{ip: %s, hostnames: [hotel.example, secure.hotel.example]}]
  volumes: [{name: trust, configMap: {name: front-trust}}]
  containers:
  - name: plain
    image: registry.local/library/busybox:1.36
    command: [sh, -c, "while true; do curl -s -m 2 -o /dev/null http://hotel.example/healthz; sleep 0.2; done"]
  - name: secure
    image: registry.local/library/busybox:1.36
    command: [sh, -c, "while true; do curl -s -m 2 -o /dev/null --cacert /trust/ca.crt https://secure.hotel.example/healthz; sleep 0.2; done"]
    volumeMounts: [{name: trust, mountPath: /trust}]
`

// authority signs certificates for the secure host.
type authority struct {
	key *ecdsa.PrivateKey
	ca  *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca.Raw, err = x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	require.NoError(t, err)
	return &authority{key, ca}
}

// put writes the Secret of the secure host's certificate, which ends at a time.
func (a *authority) put(ctx context.Context, s *clustertest.Site, end time.Time) {
	s.T.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(s.T, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: secureHost}, DNSNames: []string{secureHost},
		NotBefore: end.AddDate(0, -3, 0), NotAfter: end, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.ca, key.Public(), a.key)
	require.NoError(s.T, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(s.T, err)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "front-tls"}, Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}}
	secrets := s.Kube.CoreV1().Secrets(s.Namespace)
	_ = secrets.Delete(ctx, secret.Name, metav1.DeleteOptions{})
	_, err = secrets.Create(ctx, secret, metav1.CreateOptions{})
	require.NoError(s.T, err)
}

// openFrontDoor installs the controller, the Ingress and its users, until the test ends.
func openFrontDoor(t *testing.T, s *clustertest.Site) *authority {
	t.Helper()
	s.Install(ingress.New(), ingress.Namespace)
	svc, err := s.Kube.CoreV1().Services(ingress.Namespace).Get(t.Context(), ingress.Service, metav1.GetOptions{})
	require.NoError(t, err)
	a := newAuthority(t)
	trust := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "front-trust"}, Data: map[string]string{
		"ca.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.ca.Raw})),
	}}
	_, err = s.Kube.CoreV1().ConfigMaps(s.Namespace).Create(t.Context(), trust, metav1.CreateOptions{})
	require.NoError(t, err)
	a.put(t.Context(), s, time.Now().AddDate(0, 1, 0))
	s.Apply(fmt.Sprintf(frontDoor, svc.Spec.ClusterIP))
	t.Cleanup(func() {
		ctx := context.Background()
		now := int64(0)
		_ = s.Kube.CoreV1().Pods(s.Namespace).Delete(ctx, "front-users", metav1.DeleteOptions{GracePeriodSeconds: &now})
		_ = s.Kube.NetworkingV1().Ingresses(s.Namespace).Delete(ctx, "front", metav1.DeleteOptions{})
		_ = s.Kube.CoreV1().ConfigMaps(s.Namespace).Delete(ctx, "front-trust", metav1.DeleteOptions{})
		_ = s.Kube.CoreV1().Secrets(s.Namespace).Delete(ctx, "front-tls", metav1.DeleteOptions{})
	})
	return a
}

// requests is the rate of a host's requests with a status. It is 0, and not nothing, while there are none.
func requests(host, status string) string {
	return fmt.Sprintf(`sum(rate(nginx_ingress_controller_requests{host=%q,status=~%q}[6s])) or vector(0)`, host, status)
}

// served waits until the users of a host get what they ask for, and nothing else.
func served(s *clustertest.Site, host string) {
	s.T.Helper()
	s.Value("requests that succeed for "+host, requests(host, "200"), clustertest.Some)
	s.Value("no request that fails for "+host, requests(host, "[45].."), clustertest.None)
}

// patchIngress changes the first backend of the Ingress.
func patchIngress(ctx context.Context, s *clustertest.Site, field, value string) {
	s.T.Helper()
	patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/rules/0/http/paths/0/backend/service/%s","value":%q}]`, field, value)
	_, err := s.Kube.NetworkingV1().Ingresses(s.Namespace).Patch(ctx, "front", types.JSONPatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(s.T, err)
}

// TestIngress: an Ingress that points at nothing, and a certificate that is not there or no longer valid.
func TestIngress(t *testing.T) {
	s := fixture.Site(t, rate)
	a := openFrontDoor(t, s)
	served(s, plainHost)
	served(s, secureHost)
	t.Run("a service that is not", func(t *testing.T) {
		s := s.With(t)
		patchIngress(t.Context(), s, "name", "frontned")
		s.Value("errors", requests(plainHost, "503"), clustertest.Some)
		s.Value("an ingress without a service", `nginx_ingress_controller_orphan_ingress{ingress="front",type="no-service"}`, clustertest.Some)
		patchIngress(t.Context(), s, "name", "frontend")
		served(s, plainHost)
	})
	t.Run("a port that is not", func(t *testing.T) {
		s := s.With(t)
		patchIngress(t.Context(), s, "port/name", "web")
		s.Value("errors", requests(plainHost, "503"), clustertest.Some)
		patchIngress(t.Context(), s, "port/name", "http")
		served(s, plainHost)
	})
	t.Run("the certificate is gone", func(t *testing.T) {
		s := s.With(t)
		require.NoError(t, s.Kube.CoreV1().Secrets(s.Namespace).Delete(t.Context(), "front-tls", metav1.DeleteOptions{}))
		s.Value("no request over HTTPS", requests(secureHost, ".*"), clustertest.None)
		s.Event("Ingress", "front", "SecretNotUsable", "the default certificate is used for "+secureHost)
		a.put(t.Context(), s, time.Now().AddDate(0, 1, 0))
		served(s, secureHost)
	})
	t.Run("the certificate has ended", func(t *testing.T) {
		s := s.With(t)
		a.put(t.Context(), s, time.Now().Add(-time.Minute))
		s.Value("a certificate that has ended", fmt.Sprintf(`time() - nginx_ingress_controller_ssl_expire_time_seconds{host=%q}`, secureHost), clustertest.Some)
		s.Value("no request over HTTPS", requests(secureHost, ".*"), clustertest.None)
		a.put(t.Context(), s, time.Now().AddDate(0, 1, 0))
		served(s, secureHost)
	})
	s.Healthy()
}
