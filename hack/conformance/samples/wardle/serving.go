package wardle

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/options"

	"github.com/gameday-bench/gameday/workloads/program"
)

// listen opens the port that the flags name on the pod's network.
func listen(ctx context.Context, network program.Network, serving *options.SecureServingOptions) error {
	address := net.JoinHostPort(serving.BindAddress.String(), strconv.Itoa(serving.BindPort))
	l, err := network.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	serving.Listener = l
	return nil
}

// useCertificate reads the certificate that the flags name from the container's files. Without one the server makes its own, which it
// keeps in memory.
func useCertificate(files program.FileReader, serving *options.SecureServingOptions) error {
	pair := serving.ServerCert.CertKey
	serving.ServerCert = options.GeneratableKeyCert{}
	if pair == (options.CertKey{}) {
		if err := serving.MaybeDefaultWithSelfSignedCerts("localhost", nil, []net.IP{net.IPv4(127, 0, 0, 1)}); err != nil {
			return fmt.Errorf("make serving certificate: %w", err)
		}
		return nil
	}
	cert, err := program.ReadFile(files, pair.CertFile)
	if err != nil {
		return fmt.Errorf("read serving certificate: %w", err)
	}
	key, err := program.ReadFile(files, pair.KeyFile)
	if err != nil {
		return fmt.Errorf("read key of serving certificate: %w", err)
	}
	serving.ServerCert.GeneratedCert, err = dynamiccertificates.NewStaticCertKeyContent("serving-cert", cert, key)
	if err != nil {
		return fmt.Errorf("read serving certificate: %w", err)
	}
	return nil
}
