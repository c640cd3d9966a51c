package aggregate

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/authorization/path"
	"k8s.io/apiserver/pkg/authorization/union"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
)

// authenticationConfig is the ConfigMap in kube-system in which the API server publishes whom its extensions may believe.
const authenticationConfig = "extension-apiserver-authentication"

// The times and retries are k8s.io/apiserver's defaults for delegated decisions.
const (
	decisionTTL   = 10 * time.Second
	reviewTimeout = 10 * time.Second
)

func retries() *wait.Backoff {
	return &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 5}
}

// frontProxy follows what the API server publishes about its front proxy: the authority of its certificate, and the headers
// in which it names the user.
type frontProxy struct {
	*dynamiccertificates.ConfigMapCAController
	headers *headerrequest.RequestHeaderAuthRequestController
}

// RunOnce reads the settings.
func (p *frontProxy) RunOnce(ctx context.Context) error {
	if err := p.ConfigMapCAController.RunOnce(ctx); err != nil {
		return err
	}
	return p.headers.RunOnce(ctx)
}

// Run follows the settings until ctx ends.
func (p *frontProxy) Run(ctx context.Context, workers int) {
	go p.ConfigMapCAController.Run(ctx, workers)
	p.headers.Run(ctx, workers)
}

func newFrontProxy(client kubernetes.Interface) (*frontProxy, error) {
	ca, err := dynamiccertificates.NewDynamicCAFromConfigMapController("request-header", metav1.NamespaceSystem, authenticationConfig,
		"requestheader-client-ca-file", client)
	if err != nil {
		return nil, err
	}
	headers := headerrequest.NewRequestHeaderAuthRequestController(authenticationConfig, metav1.NamespaceSystem, client,
		"requestheader-username-headers", "requestheader-uid-headers", "requestheader-group-headers",
		"requestheader-extra-headers-prefix", "requestheader-allowed-names")
	return &frontProxy{ca, headers}, nil
}

// Delegate makes a server believe whom the cluster's API server believes, and ask it what they may do. c.SecureServing has been set. It
// reads the cluster's authentication settings once before it returns, and follows them when the server runs.
func Delegate(ctx context.Context, c *genericapiserver.Config, client kubernetes.Interface) error {
	if err := authenticate(ctx, c, client); err != nil {
		return err
	}
	return authorize(c, client)
}

// authenticate believes the API server's front proxy, client certificates of the cluster and its tokens.
func authenticate(ctx context.Context, c *genericapiserver.Config, client kubernetes.Interface) error {
	proxy, err := newFrontProxy(client)
	if err != nil {
		return fmt.Errorf("read authentication settings: %w", err)
	}
	if err := proxy.RunOnce(ctx); err != nil {
		return fmt.Errorf("read authentication settings: %w", err)
	}
	clients, err := dynamiccertificates.NewDynamicCAFromConfigMapController("client-ca", metav1.NamespaceSystem, authenticationConfig,
		"client-ca-file", client)
	if err != nil {
		return fmt.Errorf("read authentication settings: %w", err)
	}
	headers := proxy.headers
	requests := &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider:   proxy,
		UsernameHeaders:     headerrequest.StringSliceProviderFunc(headers.UsernameHeaders),
		UIDHeaders:          headerrequest.StringSliceProviderFunc(headers.UIDHeaders),
		GroupHeaders:        headerrequest.StringSliceProviderFunc(headers.GroupHeaders),
		ExtraHeaderPrefixes: headerrequest.StringSliceProviderFunc(headers.ExtraHeaderPrefixes),
		AllowedClientNames:  headerrequest.StringSliceProviderFunc(headers.AllowedClientNames),
	}
	for _, ca := range []dynamiccertificates.CAContentProvider{clients, proxy} {
		if err := c.Authentication.ApplyClientCert(ca, c.SecureServing); err != nil {
			return fmt.Errorf("accept client certificates: %w", err)
		}
	}
	c.Authentication.RequestHeaderConfig = requests
	c.Authentication.Authenticator, _, err = authenticatorfactory.DelegatingAuthenticatorConfig{
		Anonymous: &apiserver.AnonymousAuthConfig{Enabled: true}, CacheTTL: decisionTTL, WebhookRetryBackoff: retries(),
		TokenAccessReviewClient: client.AuthenticationV1(), TokenAccessReviewTimeout: reviewTimeout,
		ClientCertificateCAContentProvider: clients, RequestHeaderConfig: requests,
	}.New()
	if err != nil {
		return fmt.Errorf("make authenticator: %w", err)
	}
	return nil
}

// authorize asks the API server, except for administrators and the health checks.
func authorize(c *genericapiserver.Config, client kubernetes.Interface) error {
	health, err := path.NewAuthorizer([]string{"/healthz", "/readyz", "/livez"})
	if err != nil {
		return fmt.Errorf("make authorizer: %w", err)
	}
	asked, err := authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: client.AuthorizationV1(), AllowCacheTTL: decisionTTL, DenyCacheTTL: decisionTTL,
		WebhookRetryBackoff: retries(),
	}.New()
	if err != nil {
		return fmt.Errorf("make authorizer: %w", err)
	}
	c.Authorization.Authorizer = union.New(authorizerfactory.NewPrivilegedGroups(user.SystemPrivilegedGroup), health, asked)
	return nil
}
