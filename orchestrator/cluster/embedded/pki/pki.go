// Package pki makes the certificates, keys and kubeconfigs of one embedded cluster.
//
// Names and groups follow kubeadm's (https://kubernetes.io/docs/setup/best-practices/certificates/), so that RBAC's
// bootstrap roles apply. Everything lives as long as the cluster; nothing is reused.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

const validity = 365 * 24 * time.Hour

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	now  time.Time
}

// Write makes everything that the processes of c expect below c.PKI() and c.Kubeconfig(...). now is the start of validity.
func Write(c *spec.Cluster, now time.Time) error {
	for _, dir := range []string{c.PKI(), filepath.Dir(c.Kubeconfig("admin"))} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make directory for certificates: %w", err)
		}
	}
	ca, err := newAuthority("kubernetes", now)
	if err != nil {
		return err
	}
	front, err := newAuthority("front-proxy-ca", now)
	if err != nil {
		return err
	}
	if err := writeAuthorities(c, ca, front); err != nil {
		return err
	}
	for name, leaf := range leaves(c) {
		signer := ca
		if name == "front-proxy-client" {
			signer = front
		}
		cert, key, err := signer.issue(leaf)
		if err != nil {
			return err
		}
		if err := writePair(c.PKI(), name, cert, key); err != nil {
			return err
		}
	}
	return writeKubeconfigs(c, ca)
}

// leaves lists the serving and client certificates that are files, by file name.
func leaves(c *spec.Cluster) map[string]x509.Certificate {
	loopback := net.IPv4(127, 0, 0, 1)
	out := map[string]x509.Certificate{
		"apiserver": {
			Subject: pkix.Name{CommonName: "kube-apiserver"},
			DNSNames: []string{
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc." + c.Network.Domain,
			},
			IPAddresses: []net.IP{loopback, ip(c.Network.ServiceCIDR.Addr().Next()), ip(c.Network.ControlPlane)},
		},
		"apiserver-kubelet-client": {Subject: pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}}},
		"front-proxy-client":       {Subject: pkix.Name{CommonName: "front-proxy-client"}},
		"webhook":                  {Subject: pkix.Name{CommonName: "webhook"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{loopback}},
		"chaos": {
			Subject:  pkix.Name{CommonName: "chaos-daemon.chaos-mesh.org"},
			DNSNames: []string{"chaos-daemon.chaos-mesh.org", "localhost"},
		},
	}
	chaos := out["chaos"]
	chaos.IPAddresses = []net.IP{loopback}
	for _, n := range c.Nodes {
		out["kubelet-"+n.Name] = x509.Certificate{
			Subject:     pkix.Name{CommonName: "system:node:" + n.Name, Organization: []string{"system:nodes"}},
			DNSNames:    []string{n.Name, "localhost"},
			IPAddresses: []net.IP{ip(n.Address), loopback},
		}
		chaos.IPAddresses = append(chaos.IPAddresses, ip(n.Loopback))
	}
	out["chaos"] = chaos
	return out
}

func writeAuthorities(c *spec.Cluster, ca, front *authority) error {
	if err := writePair(c.PKI(), "ca", ca.cert.Raw, ca.key); err != nil {
		return err
	}
	if err := writePair(c.PKI(), "front-proxy-ca", front.cert.Raw, front.key); err != nil {
		return err
	}
	// Service account tokens are signed with a key pair of their own.
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make service account key: %w", err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode service account key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encode service account public key: %w", err)
	}
	if err := writePEM(filepath.Join(c.PKI(), "sa.key"), "EC PRIVATE KEY", private); err != nil {
		return err
	}
	return writePEM(filepath.Join(c.PKI(), "sa.pub"), "PUBLIC KEY", public)
}

func writeKubeconfigs(c *spec.Cluster, ca *authority) error {
	users := map[string]pkix.Name{
		"admin":              {CommonName: "kubernetes-admin", Organization: []string{"system:masters"}},
		"controller-manager": {CommonName: "system:kube-controller-manager"},
		"scheduler":          {CommonName: "system:kube-scheduler"},
	}
	for _, n := range c.Nodes {
		users[n.Name] = pkix.Name{CommonName: "system:node:" + n.Name, Organization: []string{"system:nodes"}}
	}
	for name, subject := range users {
		cert, key, err := ca.issue(x509.Certificate{Subject: subject})
		if err != nil {
			return err
		}
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return fmt.Errorf("encode key of %s: %w", name, err)
		}
		context := "gameday-" + c.Name
		config := clientcmdapi.Config{
			Clusters: map[string]*clientcmdapi.Cluster{context: {
				Server:                   fmt.Sprintf("https://127.0.0.1:%d", c.Ports.APIServer),
				CertificateAuthorityData: encode("CERTIFICATE", ca.cert.Raw),
			}},
			AuthInfos: map[string]*clientcmdapi.AuthInfo{context: {
				ClientCertificateData: encode("CERTIFICATE", cert),
				ClientKeyData:         encode("PRIVATE KEY", keyDER),
			}},
			Contexts:       map[string]*clientcmdapi.Context{context: {Cluster: context, AuthInfo: context}},
			CurrentContext: context,
		}
		data, err := clientcmd.Write(config)
		if err != nil {
			return fmt.Errorf("encode kubeconfig of %s: %w", name, err)
		}
		if err := os.WriteFile(c.Kubeconfig(name), data, 0o600); err != nil {
			return fmt.Errorf("write kubeconfig of %s: %w", name, err)
		}
	}
	return nil
}

func newAuthority(name string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of authority %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(validity),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign authority %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse authority %s: %w", name, err)
	}
	return &authority{cert, key, now}, nil
}

// issue signs a leaf for serving and for clients alike; what it may do follows from its subject and names.
func (a *authority) issue(leaf x509.Certificate) ([]byte, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key of %s: %w", leaf.Subject.CommonName, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, fmt.Errorf("draw serial number: %w", err)
	}
	leaf.SerialNumber = serial
	leaf.NotBefore, leaf.NotAfter = a.now.Add(-time.Hour), a.now.Add(validity)
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, &leaf, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign certificate of %s: %w", leaf.Subject.CommonName, err)
	}
	return der, key, nil
}

func writePair(dir, name string, cert []byte, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key of %s: %w", name, err)
	}
	if err := writePEM(filepath.Join(dir, name+".key"), "PRIVATE KEY", der); err != nil {
		return err
	}
	return writePEM(filepath.Join(dir, name+".crt"), "CERTIFICATE", cert)
}

func writePEM(path, kind string, der []byte) error {
	if err := os.WriteFile(path, encode(kind, der), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", kind, err)
	}
	return nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func ip(a netip.Addr) net.IP { return net.IP(a.AsSlice()) }
