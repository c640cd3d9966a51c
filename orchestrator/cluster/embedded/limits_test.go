package embedded_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/internal/oslimit"
	"github.com/gameday-bench/gameday/internal/proctree"
)

// TestCertificatesAreNotWatched counts what a cluster takes of the user's inotify instances, 128 by default, and shows that the parts
// which no longer watch their files still work: the signers, and a client whose certificate they made.
func TestCertificatesAreNotWatched(t *testing.T) {
	c := up(t, 2)
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	key, signed := requestCertificate(ctx, t, client, "visitor")

	visitor := rest.AnonymousClientConfig(c.RESTConfig())
	visitor.CertData, visitor.KeyData = signed, key
	asVisitor, err := kubernetes.NewForConfig(visitor)
	require.NoError(t, err)
	_, err = asVisitor.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
	require.ErrorContains(t, err, `User "visitor" cannot list resource "pods"`, "the API server knows who it is")

	table, err := proctree.Table()
	require.NoError(t, err)
	var held uint64
	for _, p := range proctree.Descendants(table, os.Getpid())[1:] {
		held += oslimit.InotifyOf(p.PID)
	}
	require.LessOrEqual(t, held, uint64(1), "inotify instances of the whole tree")
}

// requestCertificate asks for a client certificate, approves that, and waits for it.
func requestCertificate(ctx context.Context, t *testing.T, client kubernetes.Interface, user string) (key, cert []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: user}}, private)
	require.NoError(t, err)
	requests := client.CertificatesV1().CertificateSigningRequests()
	csr, err := requests.Create(ctx, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}),
			SignerName: certificatesv1.KubeAPIServerClientSignerName, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	csr.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Tested",
	}}
	_, err = requests.UpdateApproval(ctx, user, csr, metav1.UpdateOptions{})
	require.NoError(t, err)
	err = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		csr, err := requests.Get(ctx, user, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		cert = csr.Status.Certificate
		return len(cert) > 0, nil
	})
	require.NoError(t, err, "the request is signed")
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), cert
}
