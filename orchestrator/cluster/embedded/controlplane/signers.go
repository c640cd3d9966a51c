package controlplane

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/informers"
	certificatesinformers "k8s.io/client-go/informers/certificates/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/kubernetes/pkg/controller/certificates/signer"

	"github.com/gameday-bench/gameday/internal/unexported"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// signingController is kube-controller-manager's name for the controllers that sign requests for certificates. There they
// watch the authority's files, each on its own; so they are not run there but by startSigners.
const signingController = "certificatesigningrequest-signing-controller"

// Upstream's own figures.
const (
	signerWorkers   = 5
	signingDuration = 365 * 24 * time.Hour
)

// signerIdentity is the account under which kube-controller-manager runs the signers.
const signerIdentity = "system:serviceaccount:kube-system:certificate-controller"

type newSigner func(ctx context.Context, client kubernetes.Interface, requests certificatesinformers.CertificateSigningRequestInformer,
	caFile, caKeyFile string, ttl time.Duration) (*signer.CSRSigningController, error)

// signers are those that kube-controller-manager runs.
var signers = []newSigner{
	signer.NewKubeletServingCSRSigningController, signer.NewKubeletClientCSRSigningController,
	signer.NewKubeAPIServerClientCSRSigningController, signer.NewLegacyUnknownCSRSigningController,
}

// startSigners starts the controllers that sign approved requests for certificates with the cluster's authority. They are
// kube-controller-manager's, without the watch on the authority's files.
func (p *plane) startSigners(ctx context.Context, admin *rest.Config) error {
	config := rest.CopyConfig(admin)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: signerIdentity, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"},
	}
	config.UserAgent = "kube-controller-manager"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	all, err := buildSigners(ctx, p.spec, client, factory)
	if err != nil {
		return err
	}
	// Before the bootstrap roles exist the account may read nothing, and client-go waits long after a refusal.
	if err := waitPath(ctx, admin, rolesReady); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	for _, s := range all {
		p.background(ctx, "certificate signer", func() error {
			s.Run(ctx, signerWorkers)
			return nil
		})
	}
	return nil
}

// buildSigners makes every signer. They work from when the factory is started.
func buildSigners(ctx context.Context, c *spec.Cluster, client kubernetes.Interface, factory informers.SharedInformerFactory) ([]*signer.CSRSigningController, error) {
	requests := factory.Certificates().V1().CertificateSigningRequests()
	pki := func(name string) string { return filepath.Join(c.PKI(), name) }
	var all []*signer.CSRSigningController
	for _, create := range signers {
		s, err := create(ctx, client, requests, pki("ca.crt"), pki("ca.key"), signingDuration)
		if err != nil {
			return nil, fmt.Errorf("build certificate signer: %w", err)
		}
		if err := freezeSigner(s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// freezeSigner makes s keep the authority that it has read.
func freezeSigner(s *signer.CSRSigningController) error {
	if err := unexported.Set[dynamiccertificates.ControllerRunner](s, unchanging{}, "dynamicCertReloader"); err != nil {
		return fmt.Errorf("keep the authority of a certificate signer: %w", err)
	}
	return nil
}

// unchanging looks after a file that never changes.
type unchanging struct{}

func (unchanging) RunOnce(context.Context) error  { return nil }
func (unchanging) Run(ctx context.Context, _ int) { <-ctx.Done() }
