package agnhost

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"time"

	"github.com/gameday-bench/gameday/workloads/program"
)

const (
	// localhostFile is where upstream's image has its certificate.
	localhostFile = "/localhost.crt"
	// localhostKeyFile is where it has the private key.
	localhostKeyFile = "/localhost.key"
)

// installLocalhost makes the image's certificate a file for those that look for one, unless the container has it.
func (a *app) installLocalhost() error {
	if _, err := a.sys.Files.Stat(localhostFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	config, err := a.localhostKeyPair()
	if err != nil {
		return err
	}
	pair := config.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return fmt.Errorf("encode private key: %w", err)
	}
	for _, f := range []struct {
		name, kind string
		data       []byte
	}{{localhostKeyFile, "PRIVATE KEY", key}, {localhostFile, "CERTIFICATE", pair.Certificate[0]}} {
		data := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.data})
		if err := program.WriteFile(a.sys.Files, f.name, data, 0o644); err != nil {
			return fmt.Errorf("write the image's certificate: %w", err)
		}
	}
	return nil
}

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
