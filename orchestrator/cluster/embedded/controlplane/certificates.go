package controlplane

import (
	"crypto/tls"
	"fmt"
	"path/filepath"

	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	kubeapiserver "k8s.io/kubernetes/pkg/controlplane/apiserver"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// The certificates of a cluster never change while it lives. Upstream's components watch each file for a new one all the
// same, and every watch takes an inotify instance. A user has 128 of those by default, for all programs and all clusters.

// reloadProxyClientCert is the API server's hook that watches the certificate it shows to aggregated API servers.
const reloadProxyClientCert = "aggregator-reload-proxy-client-cert"

// freezeServing makes the API server serve with the certificates that have been read.
func freezeServing(generic *server.Config) error {
	serving := generic.SecureServing
	cert, key := serving.Cert.CurrentCertKeyContent()
	static, err := dynamiccertificates.NewStaticCertKeyContent(serving.Cert.Name(), cert, key)
	if err != nil {
		return fmt.Errorf("read serving certificate: %w", err)
	}
	serving.Cert = static
	if serving.ClientCA, err = frozen(serving.ClientCA); err != nil {
		return err
	}
	generic.DisabledPostStartHooks.Insert(reloadProxyClientCert)
	return nil
}

// freezeTrust does the same for the authorities that the API server publishes to extension servers.
func freezeTrust(config *kubeapiserver.Config) error {
	var err error
	trust := &config.ClusterAuthenticationInfo
	if trust.ClientCA, err = frozen(trust.ClientCA); err != nil {
		return err
	}
	trust.RequestHeaderCA, err = frozen(trust.RequestHeaderCA)
	return err
}

// frozen is a provider of what p has now.
func frozen(p dynamiccertificates.CAContentProvider) (dynamiccertificates.CAContentProvider, error) {
	static, err := dynamiccertificates.NewStaticCAContent(p.Name(), p.CurrentCABundleContent())
	if err != nil {
		return nil, fmt.Errorf("read authority %s: %w", p.Name(), err)
	}
	return static, nil
}

// webhookTLS makes a webhook server use the certificate as it is now.
func webhookTLS(c *spec.Cluster) (func(*tls.Config), error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(c.PKI(), "webhook.crt"), filepath.Join(c.PKI(), "webhook.key"))
	if err != nil {
		return nil, fmt.Errorf("read certificate of the webhooks: %w", err)
	}
	return func(t *tls.Config) {
		t.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }
	}, nil
}
