package cri

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// TestSandboxHasHostPortsAndSysctls: the network hears of the ports that are the node's, and the containers see the sysctls.
func TestSandboxHasHostPortsAndSysctls(t *testing.T) {
	f := newFixture(t)
	id, err := f.RunPodSandbox(t.Context(), &runtimeapi.PodSandboxConfig{
		Metadata: &runtimeapi.PodSandboxMetadata{Name: "pod", Uid: "uid", Namespace: "default"},
		PortMappings: []*runtimeapi.PortMapping{
			{ContainerPort: 80}, {Protocol: runtimeapi.Protocol_UDP, ContainerPort: 53, HostPort: 5353, HostIp: "127.0.0.1"},
		},
		Linux: &runtimeapi.LinuxPodSandboxConfig{Sysctls: map[string]string{"net.ipv4.ip_local_port_range": "40000 40010", "kernel.shm_rmid_forced": "1"}},
	}, "")
	require.NoError(t, err)
	require.Equal(t, []HostPort{{Protocol: "UDP", Address: "127.0.0.1", Port: 5353, To: 53}}, f.network.asked[0].HostPorts)
	s, err := f.sandbox(id)
	require.NoError(t, err)
	for name, want := range map[string]string{
		"net/ipv4/ip_local_port_range": "40000\t40010\n", "kernel/shm_rmid_forced": "1\n", "net/ipv4/tcp_fin_timeout": "20\n",
	} {
		data, err := os.ReadFile(filepath.Join(s.sysctls(), name))
		require.NoError(t, err)
		require.Equal(t, want, string(data), name)
	}
}

// TestHostNetworkHasTheNodesHosts: a pod on the host's network sees the hosts file of its node with its own aliases, and nothing of the machine's.
func TestHostNetworkHasTheNodesHosts(t *testing.T) {
	f := newFixture(t)
	machine, err := os.ReadFile("/etc/hosts")
	require.NoError(t, err)
	const aliases = "\n# Entries added by HostAliases.\n192.0.2.7\tweb\n"
	file := filepath.Join(f.dir, "kubelet/pods/uid/etc-hosts")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte("# Kubernetes-managed hosts file (host network).\n"+string(machine)+aliases), 0o644))
	require.NoError(t, os.MkdirAll(filepath.Join(f.dir, "root/etc"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(f.dir, "root/etc/hosts"), []byte("172.18.0.11\tnode-1\n"), 0o644))
	hosts := func(network runtimeapi.NamespaceMode) string {
		pod, err := f.RunPodSandbox(t.Context(), &runtimeapi.PodSandboxConfig{
			Metadata: &runtimeapi.PodSandboxMetadata{Name: "pod", Uid: "uid", Namespace: "default"},
			Linux: &runtimeapi.LinuxPodSandboxConfig{SecurityContext: &runtimeapi.LinuxSandboxSecurityContext{
				NamespaceOptions: &runtimeapi.NamespaceOption{Network: network},
			}},
		}, "")
		require.NoError(t, err)
		c, err := f.container(f.create(pod, func(cfg *runtimeapi.ContainerConfig) {
			cfg.Mounts = []*runtimeapi.Mount{{ContainerPath: "/etc/hosts", HostPath: file}}
		}, "print"))
		require.NoError(t, err)
		desc, err := sandbox.LoadContainer(c.configPath())
		require.NoError(t, err)
		require.Equal(t, map[runtimeapi.NamespaceMode]string{runtimeapi.NamespaceMode_NODE: "node-1", runtimeapi.NamespaceMode_POD: "pod"}[network], desc.Hostname)
		last := desc.Mounts[len(desc.Mounts)-1]
		require.Equal(t, "/etc/hosts", last.ContainerPath)
		data, err := os.ReadFile(last.HostPath)
		require.NoError(t, err)
		return string(data)
	}
	require.Equal(t, "# Kubernetes-managed hosts file (host network).\n172.18.0.11\tnode-1\n"+aliases, hosts(runtimeapi.NamespaceMode_NODE))
	require.Contains(t, hosts(runtimeapi.NamespaceMode_POD), string(machine), "the kubelet's own file is left to other pods")
}
