package dns

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/gameday-bench/gameday/workloads/program"
)

// setupKubernetes sets CoreDNS's own plugin up with a client that goes through the Sys.
func setupKubernetes(c *caddy.Controller) error {
	in := instanceOf(c)
	var k *kubernetes.Kubernetes
	for c.Next() {
		if k != nil {
			return plugin.Error("kubernetes", plugin.ErrOnce)
		}
		var err error
		if k, err = kubernetes.ParseStanza(c); err != nil {
			return plugin.Error("kubernetes", err)
		}
	}
	k.ClientConfig = inCluster{in.sys}
	start, shut, err := k.InitKubeCache(in.ctx)
	if err != nil {
		return plugin.Error("kubernetes", err)
	}
	c.OnStartup(start)
	c.OnShutdown(shut)
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		k.Next = next
		return k
	})
	return nil
}

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

// inCluster is rest.InClusterConfig on a Sys.
type inCluster struct{ sys *program.Sys }

var _ clientcmd.ClientConfig = inCluster{}

// ClientConfig reads the service account that the kubelet mounted.
func (k inCluster) ClientConfig() (*rest.Config, error) {
	host, port := k.sys.Getenv("KUBERNETES_SERVICE_HOST"), k.sys.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, rest.ErrNotInCluster
	}
	ca, err := program.ReadFile(k.sys.Files, serviceAccount+"ca.crt")
	if err != nil {
		return nil, err
	}
	token := &token{sys: k.sys}
	if _, err := token.get(); err != nil {
		return nil, err
	}
	return &rest.Config{
		Host: "https://" + net.JoinHostPort(host, port), TLSClientConfig: rest.TLSClientConfig{CAData: ca},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return k.sys.Net.DialContext(ctx, network, addr)
		},
		WrapTransport: func(rt http.RoundTripper) http.RoundTripper { return bearer{rt, token} },
		ContentConfig: rest.ContentConfig{ContentType: "application/vnd.kubernetes.protobuf"},
		UserAgent:     coremain.CoreName + "/" + coremain.CoreVersion,
	}, nil
}

// RawConfig is not used.
func (inCluster) RawConfig() (api.Config, error) { return api.Config{}, nil }

// Namespace is not used.
func (inCluster) Namespace() (string, bool, error) { return "", false, nil }

// ConfigAccess is not used.
func (inCluster) ConfigAccess() clientcmd.ConfigAccess { return nil }

// token is the service account's token, read again every minute because the kubelet renews it.
type token struct {
	sys *program.Sys

	mu   sync.Mutex
	text string
	read time.Time
}

func (t *token) get() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text != "" && t.sys.Clock.Since(t.read) < time.Minute {
		return t.text, nil
	}
	data, err := program.ReadFile(t.sys.Files, serviceAccount+"token")
	if err != nil {
		return "", fmt.Errorf("read service account token: %w", err)
	}
	t.text, t.read = strings.TrimSpace(string(data)), t.sys.Clock.Now()
	return t.text, nil
}

// bearer adds the token to requests.
type bearer struct {
	next  http.RoundTripper
	token *token
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := b.token.get()
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+text)
	return b.next.RoundTrip(r)
}
