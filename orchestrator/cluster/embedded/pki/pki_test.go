package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/pki"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

func TestWriteMakesAWorkingTrustChain(t *testing.T) {
	t.Parallel()
	c := &spec.Cluster{
		Name: "t", Dir: t.TempDir(), Ports: spec.Ports{APIServer: 6443},
		Network: spec.Network{
			ServiceCIDR: netip.MustParsePrefix("10.96.0.0/16"), ControlPlane: netip.MustParseAddr("172.18.0.2"), Domain: "cluster.local",
		},
		Nodes: []spec.Node{{Name: "node-1", Address: netip.MustParseAddr("172.18.0.11"), Loopback: netip.MustParseAddr("127.0.0.11")}},
	}
	require.NoError(t, pki.Write(c, time.Now()))

	caPEM, err := os.ReadFile(filepath.Join(c.PKI(), "ca.crt"))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(caPEM))
	for name, host := range map[string]string{
		"apiserver": "10.96.0.1", "kubelet-node-1": "172.18.0.11", "webhook": "127.0.0.1", "chaos": "127.0.0.11",
	} {
		pair, err := tls.LoadX509KeyPair(filepath.Join(c.PKI(), name+".crt"), filepath.Join(c.PKI(), name+".key"))
		require.NoError(t, err, name)
		_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host})
		require.NoError(t, err, name)
	}
	for _, name := range []string{"admin", "controller-manager", "scheduler", "node-1"} {
		config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig(name))
		require.NoError(t, err, name)
		require.Equal(t, "https://127.0.0.1:6443", config.Host)
		info, err := os.Stat(c.Kubeconfig(name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}
