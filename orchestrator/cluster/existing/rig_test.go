package existing

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/workloads"
)

func goodNode(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Node","metadata":{"name":%q},"status":{
		"allocatable":{"cpu":"8","memory":"16Gi","pods":"110"},"conditions":[{"type":"Ready","status":"True"}],
		"nodeInfo":{"operatingSystem":"linux","architecture":%q}}}`, name, runtime.GOARCH)
}

// chaosController is a Deployment as Chaos Mesh's chart makes it.
func chaosController(namespace string, available int) string {
	return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"chaos-controller-manager","namespace":%q,"labels":{"app.kubernetes.io/version":"2.7.2"}},
		"status":{"availableReplicas":%d}}`, namespace, available)
}

// kubeconfig writes a file whose contexts all lead to one server.
func kubeconfig(t *testing.T, server string, contexts ...string) string {
	t.Helper()
	c := clientcmdapi.NewConfig()
	c.AuthInfos["me"] = &clientcmdapi.AuthInfo{Token: "t"}
	for _, name := range contexts {
		c.Clusters["c-"+name] = &clientcmdapi.Cluster{Server: server}
		c.Contexts[name] = &clientcmdapi.Context{Cluster: "c-" + name, AuthInfo: "me"}
	}
	c.CurrentContext = contexts[0]
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*c, file))
	return file
}

// fakeMesh is Chaos Mesh without Chaos Mesh.
type fakeMesh struct {
	mu       sync.Mutex
	released map[string]bool // by namespace
	installs int
	verified int
	broken   error
}

// check looks at a chart that is named, for the pinned one is far away.
func (*fakeMesh) check(ctx context.Context, o chaosmesh.Options) error {
	if o.Chart == "" {
		return nil
	}
	return o.Check(ctx)
}

func (m *fakeMesh) find(_ context.Context, _ *rest.Config, namespace string) (release, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.released[namespace] {
		return nil, nil
	}
	return &fakeRelease{m, namespace}, nil
}

func (m *fakeMesh) install(_ context.Context, _ *rest.Config, o chaosmesh.Options) (release, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.installs++
	m.released[o.Namespace] = true
	return &fakeRelease{m, o.Namespace}, nil
}

type fakeRelease struct {
	mesh      *fakeMesh
	namespace string
}

func (r *fakeRelease) Verify(context.Context) error {
	r.mesh.mu.Lock()
	defer r.mesh.mu.Unlock()
	r.mesh.verified++
	return r.mesh.broken
}

func (r *fakeRelease) Uninstall(context.Context) error {
	r.mesh.mu.Lock()
	defer r.mesh.mu.Unlock()
	delete(r.mesh.released, r.namespace)
	return nil
}

// newProvider returns a provider of context staging on a server, with the hotel application, and its Chaos Mesh.
func newProvider(t *testing.T, s *apiServer) (*Provider, *fakeMesh) {
	t.Helper()
	apps, err := workloads.LoadCatalog(workloads.Embedded())
	require.NoError(t, err)
	m := &fakeMesh{released: map[string]bool{}}
	p := &Provider{
		Kubeconfig: kubeconfig(t, s.url, "elsewhere", "staging"), Context: "staging", Registry: "registry.example/exercise",
		Apps: apps.All(), mesh: m,
	}
	return p, m
}

// up brings the cluster up and takes everything away at the end of the test.
func up(t *testing.T, p *Provider) *Cluster {
	t.Helper()
	c, err := p.Up(t.Context(), cluster.Spec{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(context.WithoutCancel(t.Context()))) })
	return c.(*Cluster)
}
