package wardle

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"k8s.io/apiserver/pkg/server/options"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/sample-apiserver/pkg/apis/wardle/v1alpha1"
	"k8s.io/sample-apiserver/pkg/apiserver"

	"github.com/gameday-bench/gameday/workloads/program"
)

// flagSet has the server's flags without those of its versions, which can be added once in a process.
func flagSet() *pflag.FlagSet {
	fs := pflag.NewFlagSet("wardle", pflag.ContinueOnError)
	options.NewRecommendedOptions("/registry", apiserver.Codecs.LegacyCodec(v1alpha1.SchemeGroupVersion)).AddFlags(fs)
	return fs
}

func TestCheck(t *testing.T) {
	t.Parallel()
	fs := flagSet()
	require.NoError(t, fs.Parse([]string{ // What Kubernetes' test starts it with.
		"--etcd-servers=http://127.0.0.1:2379", "--tls-cert-file=/apiserver.local.config/certificates/tls.crt",
		"--tls-private-key-file=/apiserver.local.config/certificates/tls.key", "--audit-log-path=-", "--audit-log-maxage=0",
		"--audit-log-maxbackup=0",
	}))
	require.NoError(t, check(fs))
	for arg, want := range map[string]string{
		"--kubeconfig=/config":           "kubeconfig is not supported",
		"--etcd-cafile=/ca.crt":          "etcd-cafile is not supported",
		"--audit-policy-file=/policy":    "audit-policy-file is not supported",
		"--audit-log-path=/var/log/a":    "audit-log-path: /var/log/a is not supported",
		"--requestheader-allowed-names=": "requestheader-allowed-names is not supported",
	} {
		fs := flagSet()
		require.NoError(t, fs.Parse([]string{arg}))
		require.ErrorContains(t, check(fs), want)
	}
}

func TestTakenFlagsAreTheServers(t *testing.T) {
	t.Parallel()
	fs := flagSet()
	for _, name := range taken {
		switch name {
		case "emulated-version", "feature-gates", "min-compatibility-version":
			continue // See flagSet.
		}
		require.NotNil(t, fs.Lookup(name), name)
	}
}

func TestUseCertificate(t *testing.T) {
	t.Parallel()
	im := Image()
	sys, err := program.System(&im, nil)
	require.NoError(t, err)
	cert, key, err := certutil.GenerateSelfSignedCertKey("sample-api.test.svc", nil, nil)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	require.NoError(t, os.WriteFile(certFile, cert, 0o600))
	require.NoError(t, os.WriteFile(keyFile, key, 0o600))

	serving := options.NewSecureServingOptions()
	serving.ServerCert.CertKey = options.CertKey{CertFile: certFile, KeyFile: keyFile}
	require.NoError(t, useCertificate(sys.Files, serving))
	require.Empty(t, serving.Validate())
	gotCert, gotKey := serving.ServerCert.GeneratedCert.CurrentCertKeyContent()
	require.Equal(t, string(cert), string(gotCert))
	require.Equal(t, string(key), string(gotKey))

	serving = options.NewSecureServingOptions()
	require.NoError(t, useCertificate(sys.Files, serving))
	require.Empty(t, serving.ServerCert.CertKey, "nothing is written to the host")
	pair := serving.ServerCert.GeneratedCert
	require.NotNil(t, pair)
	gotCert, gotKey = pair.CurrentCertKeyContent()
	_, err = tls.X509KeyPair(gotCert, gotKey)
	require.NoError(t, err)

	serving = options.NewSecureServingOptions()
	serving.ServerCert.CertKey = options.CertKey{CertFile: certFile, KeyFile: filepath.Join(dir, "none")}
	require.ErrorContains(t, useCertificate(sys.Files, serving), "read key of serving certificate")
	serving.ServerCert.CertKey = options.CertKey{CertFile: certFile, KeyFile: certFile}
	require.ErrorContains(t, useCertificate(sys.Files, serving), "read serving certificate")
}
