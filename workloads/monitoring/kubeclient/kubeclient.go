// Package kubeclient gives an in-cluster program access to the API server with its pod's service account, through its
// Sys: client-go's own in-cluster configuration reads the host's files and dials on the host's network.
package kubeclient

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program"
)

// ServiceAccount is the directory in which the kubelet mounts a pod's service account.
const ServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// tokenPeriod is how long a token is used before its file is read again: the kubelet renews it long before it expires.
const tokenPeriod = 30 * time.Second

// Config returns the access that the pod's service account has. The token is read again as the kubelet renews it.
func Config(sys *program.Sys) (*rest.Config, error) {
	host, port := sys.Getenv("KUBERNETES_SERVICE_HOST"), sys.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, fmt.Errorf("find API server: %w", rest.ErrNotInCluster)
	}
	ca, err := program.ReadFile(sys.Files, ServiceAccount+"/ca.crt")
	if err != nil {
		return nil, fmt.Errorf("read certificate authority: %w", err)
	}
	token := NewFileToken(sys.Files, sys.Clock, ServiceAccount+"/token")
	if _, err := token.Token(); err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:            "https://" + net.JoinHostPort(host, port),
		TLSClientConfig: rest.TLSClientConfig{CAData: ca},
		Dial:            sys.Net.DialContext,
		WrapTransport:   func(rt http.RoundTripper) http.RoundTripper { return &bearer{token, rt} },
		QPS:             200,
		Burst:           400,
	}, nil
}

// Namespace returns the namespace of the pod.
func Namespace(sys *program.Sys) (string, error) {
	data, err := program.ReadFile(sys.Files, ServiceAccount+"/namespace")
	if err != nil {
		return "", fmt.Errorf("read own namespace: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// FileToken is a secret in a file that is renewed from time to time. It is safe for concurrent use.
type FileToken struct {
	files program.FileReader
	clock clock.PassiveClock
	path  string

	mu    sync.Mutex
	value string
	read  time.Time
}

// NewFileToken reads the secret at path when it is asked for it, and again when what it has is older than 30 s.
func NewFileToken(files program.FileReader, c clock.PassiveClock, path string) *FileToken {
	return &FileToken{files: files, clock: c, path: path}
}

// Token returns the secret without surrounding space. When the file cannot be read, the last value is good until it can be.
func (t *FileToken) Token() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value != "" && t.clock.Since(t.read) < tokenPeriod {
		return t.value, nil
	}
	data, err := program.ReadFile(t.files, t.path)
	value := strings.TrimSpace(string(data))
	switch {
	case err == nil && value != "":
		t.value, t.read = value, t.clock.Now()
	case t.value == "" && err != nil:
		return "", fmt.Errorf("read token: %w", err)
	case t.value == "":
		return "", fmt.Errorf("read token: %s is empty", t.path)
	}
	return t.value, nil
}

// Fetch is Token for readers that carry a context.
func (t *FileToken) Fetch(context.Context) (string, error) { return t.Token() }

type bearer struct {
	token *FileToken
	next  http.RoundTripper
}

// RoundTrip adds the token to a copy of the request.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.token.Token()
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return b.next.RoundTrip(r)
}

// Slim is an informer's transform that drops what takes memory and nobody here reads.
func Slim(obj any) (any, error) {
	if o, ok := obj.(metav1.Object); ok {
		o.SetManagedFields(nil)
	}
	return obj, nil
}
