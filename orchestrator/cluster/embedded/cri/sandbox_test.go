package cri

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// TestSandboxAsksTheNetwork: the network learns what the pod says of it, and a sandbox that it refuses leaves nothing.
func TestSandboxAsksTheNetwork(t *testing.T) {
	f := newFixture(t)
	config := &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: "pod", Uid: "uid", Namespace: "default"}, Labels: map[string]string{"app": "web"},
		Annotations: map[string]string{"kubernetes.io/egress-bandwidth": "10M"},
		Linux:       &runtimeapi.LinuxPodSandboxConfig{Sysctls: map[string]string{"net.ipv4.ip_local_port_range": "40000 40010"}},
	}
	id, err := f.RunPodSandbox(t.Context(), config, "")
	require.NoError(t, err)
	require.Equal(t, []PodNetwork{{
		ID: id, Namespace: "default", Name: "pod", Labels: config.Labels, Annotations: config.Annotations, Sysctls: config.Linux.Sysctls,
	}}, f.network.asked)
	f.network.refuse = errors.New("no such rate")
	_, err = f.RunPodSandbox(t.Context(), config, "")
	require.ErrorContains(t, err, "failed to setup network for sandbox")
	require.ErrorContains(t, err, "no such rate")
	all, err := f.ListPodSandbox(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, all, 1)
	dirs, err := os.ReadDir(filepath.Join(f.dir, "cri", "sandboxes"))
	require.NoError(t, err)
	require.Len(t, dirs, 1)
}

// TestContainersSeeTheirMTU: the interface is described where sysfs has it.
func TestContainersSeeTheirMTU(t *testing.T) {
	f := newFixture(t)
	out, _, err := f.ExecSync(t.Context(), f.start(nil, "sleep"), []string{"mtu"}, time.Minute)
	require.NoError(t, err)
	require.Equal(t, "1450\n", string(out))
}
