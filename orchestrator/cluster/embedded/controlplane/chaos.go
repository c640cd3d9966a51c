package controlplane

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"github.com/chaos-mesh/chaos-mesh/cmd/chaos-controller-manager/provider"
	"github.com/chaos-mesh/chaos-mesh/controllers"
	chaosconfig "github.com/chaos-mesh/chaos-mesh/controllers/config"
	chaostypes "github.com/chaos-mesh/chaos-mesh/controllers/types"
	"github.com/chaos-mesh/chaos-mesh/controllers/utils/chaosdaemon"
	"github.com/chaos-mesh/chaos-mesh/pkg/metrics"
	"github.com/chaos-mesh/chaos-mesh/pkg/selector"
	apiwebhook "github.com/chaos-mesh/chaos-mesh/pkg/webhook"
	"go.uber.org/fx"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	controllermetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/addons"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/daemons"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/flags"
)

// pauseImage is what PodChaos' pod-failure puts in the place of a pod's images.
const pauseImage = "registry.local/pause:3.10"

// chaosParts is what the controllers' own wiring offers to whoever starts them.
type chaosParts struct {
	fx.In

	Manager     ctrl.Manager
	AuthClient  *authorizationv1.AuthorizationV1Client
	Objects     []chaostypes.Object        `group:"objs"`
	WebhookObjs []chaostypes.WebhookObject `group:"webhookObjs"`
}

// startChaos installs Chaos Mesh: its definitions, controllers and admission webhooks. It returns when they work.
func (p *plane) startChaos(ctx context.Context, admin *rest.Config) error {
	defined := make(chan error, 1)
	go func() { defined <- p.createCRDs(ctx, admin) }()
	dnsPort, err := p.startChaosDNS(ctx, admin)
	if err != nil {
		return err
	}
	p.configureChaos(dnsPort)
	serving, err := webhookTLS(p.spec)
	if err != nil {
		return err
	}
	var parts chaosParts
	app := fx.New(p.chaosWiring(admin, serving), fx.Populate(&parts.Manager), fx.Invoke(func(in chaosParts) { parts = in }))
	if err := app.Start(ctx); err != nil {
		return fmt.Errorf("build chaos controllers: %w", err)
	}
	kinds, err := registerWebhooks(parts)
	if err != nil {
		return fmt.Errorf("register chaos webhooks: %w", err)
	}
	if err := <-defined; err != nil {
		return err
	}
	p.mark("chaos definitions")
	p.background(ctx, "chaos controllers", func() error { return parts.Manager.Start(ctx) })
	hooks := parts.Manager.GetWebhookServer().StartedChecker()
	if err := until(ctx, "chaos webhooks", func(context.Context) error { return hooks(nil) }); err != nil {
		return err
	}
	if err := p.createWebhooks(ctx, admin, kinds); err != nil {
		return err
	}
	if !parts.Manager.GetCache().WaitForCacheSync(ctx) {
		return fmt.Errorf("wait for the chaos controllers' caches: %w", context.Cause(ctx))
	}
	p.mark("chaos controllers")
	return p.waitWebhooks(ctx, admin)
}

// configureChaos sets the controllers' configuration, which they otherwise read from the environment.
//
// Security mode stays on, as in the chart: whoever creates a chaos object needs the right to create pods in the
// namespaces that it selects. The controllers run under the administrator's identity, as the chart's service account
// has practically every right too.
func (p *plane) configureChaos(dnsPort int) {
	c := chaosconfig.ControllerCfg
	pki := func(name string) string { return filepath.Join(p.spec.PKI(), name) }
	c.Namespace = addons.ChaosNamespace
	c.ClusterScoped = true
	c.EnableLeaderElection = false
	c.SecurityMode = true
	c.QPS, c.Burst = flags.InternalQPS, flags.InternalBurst
	c.ChaosDaemonPort = p.spec.Ports.ChaosDaemon
	c.ChaosMeshCACert = pki("ca.crt")
	c.ChaosDaemonClientCert, c.ChaosDaemonClientKey = pki("chaos.crt"), pki("chaos.key")
	c.DNSServiceName, c.DNSServicePort = daemons.DNSService, dnsPort
	c.PodFailurePauseImage = pauseImage
}

// chaosWiring is the wiring of chaos-controller-manager's main, with our addresses in the place of the environment's.
// serving sets the certificate of the webhooks.
func (p *plane) chaosWiring(admin *rest.Config, serving func(*tls.Config)) fx.Option {
	return fx.Options(
		fx.NopLogger,
		fx.Supply(controllermetrics.Registry),
		fx.Supply(p.foreign),
		fx.Provide(metrics.NewChaosControllerManagerMetricsCollector),
		fx.Options(provider.Module, controllers.Module, selector.Module, chaostypes.ChaosObjects, chaostypes.WebhookObjects),
		fx.Decorate(func() *rest.Config { return rest.CopyConfig(admin) }),
		fx.Decorate(func(o *ctrl.Options) *ctrl.Options {
			o.Metrics.BindAddress = "0"
			o.Cache.DefaultTransform = cache.TransformStripManagedFields()
			o.WebhookServer = webhook.NewServer(webhook.Options{
				Host: "127.0.0.1", Port: p.spec.Ports.Webhook, TLSOpts: []func(*tls.Config){serving},
			})
			return o
		}),
		fx.Decorate(func(c client.Client) client.Client { return daemons.Client{Client: c, Cluster: p.spec} }),
		fx.Decorate(func(b *chaosdaemon.ChaosDaemonClientBuilder) *chaosdaemon.ChaosDaemonClientBuilder {
			return &chaosdaemon.ChaosDaemonClientBuilder{Reader: daemons.Reader{Reader: b.Reader, Cluster: p.spec}}
		}),
	)
}

// startChaosDNS serves the DNS chaos server that the controllers talk to and returns its port.
func (p *plane) startChaosDNS(ctx context.Context, admin *rest.Config) (int, error) {
	kube, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return 0, fmt.Errorf("build client: %w", err)
	}
	creds, err := daemons.Credentials(p.spec)
	if err != nil {
		return 0, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // To take a loopback port is not to wait.
	if err != nil {
		return 0, fmt.Errorf("listen for DNS chaos: %w", err)
	}
	relay := &daemons.DNS{
		Cluster: p.spec, Credentials: creds,
		NodeOf: func(ctx context.Context, namespace, pod string) (string, error) {
			o, err := kube.CoreV1().Pods(namespace).Get(ctx, pod, metav1.GetOptions{})
			if err != nil {
				return "", err
			}
			return o.Spec.NodeName, nil
		},
	}
	p.background(ctx, "DNS chaos relay", func() error { return relay.Serve(ctx, l) })
	return l.Addr().(*net.TCPAddr).Port, nil
}

// registerWebhooks adds the admission webhooks to the manager, as chaos-controller-manager's main does, and returns
// the kinds that they are for.
func registerWebhooks(parts chaosParts) ([]string, error) {
	type object interface {
		client.Object
		webhook.CustomDefaulter
		webhook.CustomValidator
	}
	objects := map[string]object{"schedule": &v1alpha1.Schedule{}, "workflow": &v1alpha1.Workflow{}}
	for _, o := range parts.Objects {
		x, ok := o.Object.(object)
		if !ok {
			return nil, fmt.Errorf("kind %s neither defaults nor validates", o.Name)
		}
		objects[o.Name] = x
	}
	for _, o := range parts.WebhookObjs {
		x, ok := o.Object.(object)
		if !ok {
			return nil, fmt.Errorf("kind %s neither defaults nor validates", o.Name)
		}
		objects[o.Name] = x
	}
	var kinds []string
	for kind, o := range objects {
		err := ctrl.NewWebhookManagedBy(parts.Manager).For(o).WithValidator(o).WithDefaulter(o).Complete()
		if err != nil {
			return nil, fmt.Errorf("kind %s: %w", kind, err)
		}
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	c := chaosconfig.ControllerCfg
	parts.Manager.GetWebhookServer().Register("/validate-auth", &webhook.Admission{
		Handler: apiwebhook.NewAuthValidator(c.SecurityMode, parts.AuthClient, parts.Manager.GetScheme(),
			c.ClusterScoped, c.TargetNamespace, c.EnableFilterNamespace, parts.Manager.GetLogger()),
	})
	return kinds, nil
}

// createWebhooks tells the API server about the webhooks.
func (p *plane) createWebhooks(ctx context.Context, admin *rest.Config, kinds []string) error {
	ca, err := os.ReadFile(filepath.Join(p.spec.PKI(), "ca.crt"))
	if err != nil {
		return fmt.Errorf("read certificate authority: %w", err)
	}
	mutating, validating := addons.Webhooks(kinds, p.spec.Ports.Webhook, ca)
	objects := []client.Object{mutating}
	for _, v := range validating {
		objects = append(objects, v)
	}
	c, err := client.New(admin, client.Options{})
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	for _, o := range objects {
		if err := c.Create(ctx, o); err != nil && !alreadyExists(err) {
			return fmt.Errorf("create webhook configuration %s: %w", o.GetName(), err)
		}
	}
	return nil
}
