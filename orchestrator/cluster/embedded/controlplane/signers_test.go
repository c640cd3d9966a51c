package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gameday-bench/gameday/internal/oslimit"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/pki"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

func withCertificates(t *testing.T) *spec.Cluster {
	t.Helper()
	c := &spec.Cluster{Name: "c", Dir: t.TempDir(), Network: spec.Network{
		ServiceCIDR: netip.MustParsePrefix("10.96.0.0/16"), ControlPlane: netip.MustParseAddr("172.18.0.2"), Domain: "cluster.local",
	}}
	require.NoError(t, pki.Write(c, time.Now()))
	return c
}

// TestSignersSignWithoutWatching runs upstream's signers, whose private field has to be where freezeSigner looks for it.
func TestSignersSignWithoutWatching(t *testing.T) {
	before := oslimit.InotifyOf(os.Getpid())
	c := withCertificates(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "visitor"}}, key)
	require.NoError(t, err)
	client := fake.NewClientset(&certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "visitor"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}),
			SignerName: certificatesv1.KubeAPIServerClientSignerName, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
		Status: certificatesv1.CertificateSigningRequestStatus{Conditions: []certificatesv1.CertificateSigningRequestCondition{{
			Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue,
		}}},
	})
	factory := informers.NewSharedInformerFactory(client, 0)
	all, err := buildSigners(t.Context(), c, client, factory)
	require.NoError(t, err)
	require.Len(t, all, 4)
	factory.Start(t.Context().Done())
	for _, s := range all {
		go s.Run(t.Context(), 1)
	}
	require.Eventually(t, func() bool {
		csr, err := client.CertificatesV1().CertificateSigningRequests().Get(t.Context(), "visitor", metav1.GetOptions{})
		return err == nil && len(csr.Status.Certificate) > 0
	}, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, before, oslimit.InotifyOf(os.Getpid()))
}

func TestWebhookCertificateIsReadOnce(t *testing.T) {
	c := withCertificates(t)
	_, err := webhookTLS(c)
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(c.PKI(), "webhook.key")))
	_, err = webhookTLS(c)
	require.ErrorContains(t, err, "read certificate of the webhooks")
}
