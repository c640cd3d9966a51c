package agnhost

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// localhostFile is where upstream's image has its certificate.
const localhostFile = "/localhost.crt"

// porterKeyPair is what porter serves TLS with: the pod's own certificate (CERT_FILE, KEY_FILE), or that of the image. It is nil
// for a plain port.
func (a *app) porterKeyPair(secure bool) (*tls.Config, error) {
	if !secure {
		return nil, nil
	}
	if file := a.sys.Getenv("CERT_FILE"); file != "" {
		return a.keyPair(file, a.sys.Getenv("KEY_FILE"))
	}
	return a.localhostKeyPair()
}

// localhostKeyPair stands for the certificate for localhost that upstream's image brings as localhostFile: it is made on the
// spot, and nobody can verify it.
func (a *app) localhostKeyPair() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make private key: %w", err)
	}
	now := a.sys.Clock.Now()
	const validity = 10 * 365 * 24 * time.Hour
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{Organization: []string{"Acme Co"}}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(validity),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"http/1.1"}}, nil
}
