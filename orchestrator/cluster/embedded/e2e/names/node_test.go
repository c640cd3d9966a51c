package names

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// addressOf is the address of the node that a pod runs on.
func addressOf(t *testing.T, pod *corev1.Pod) string {
	t.Helper()
	require.NotEmpty(t, pod.Status.HostIP)
	return pod.Status.HostIP
}

// TestHostPorts: as in the conformance test of host ports, three pods have one port of a node, on different addresses and protocols.
func TestHostPorts(t *testing.T) {
	r := fixture.Rig(t)
	nodes, err := r.Kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	node := nodes.Items[0]
	address := ""
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			address = a.Address
		}
	}
	require.NotEmpty(t, address)
	for name, port := range map[string]string{
		"loopback": "hostIP: 127.0.0.1", "node": "hostIP: " + address, "datagrams": "protocol: UDP, hostIP: " + address,
	} {
		r.Apply(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  nodeName: %s
  terminationGracePeriodSeconds: 0
  containers:
    - name: main
      image: registry.k8s.io/e2e-test-images/agnhost:2.59
      args: [netexec, --http-port=8080, --udp-port=8080]
      ports: [{containerPort: 8080, hostPort: 54323, %s}]
`, name, node.Name, port))
	}
	for _, name := range []string{"loopback", "node", "datagrams"} {
		r.Running(name)
	}
	r.Apply(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: on-the-node}
spec:
  nodeName: %s
  hostNetwork: true
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "registry.k8s.io/e2e-test-images/agnhost:2.59", args: [pause]}]
`, node.Name))
	require.Equal(t, address, addressOf(t, r.Running("on-the-node")))
	require.Equal(t, "loopback", r.OK("on-the-node", "curl -s -m 5 http://127.0.0.1:54323/hostname"))
	require.Equal(t, "node", r.OK("on-the-node", "curl -s -m 5 http://"+address+":54323/hostname"))
	// From another pod, and by datagrams.
	require.Equal(t, "node", r.OK("loopback", "curl -s -m 5 http://"+address+":54323/hostname"))
	require.Equal(t, "datagrams", r.OK("loopback", "printf hostname | nc -u -w 2 "+address+" 54323"))
	r.DeletePod("node")
	r.Fails("loopback", "curl -sS -m 5 http://"+address+":54323/hostname", "Connection refused")
}

// TestSysctls: safe ones are set and seen, the network keeps to those that it has, and the kubelet refuses an unsafe one.
func TestSysctls(t *testing.T) {
	r := fixture.Rig(t)
	pod := func(name, sysctls string) {
		r.Apply(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  securityContext: {sysctls: [%s]}
  containers: [{name: main, image: "registry.local/library/busybox:1.36", args: [sh, -c, "sleep 100000"]}]
`, name, sysctls))
	}
	pod("safe", `{name: kernel.shm_rmid_forced, value: "1"}, {name: net.ipv4.ip_local_port_range, value: "40000 40010"}, {name: net.ipv4.tcp_syncookies, value: "0"}`)
	r.Running("safe")
	require.Equal(t, "kernel.shm_rmid_forced = 1", r.OK("safe", "sysctl kernel.shm_rmid_forced"))
	require.Equal(t, "40000\t40010", r.OK("safe", "cat /proc/sys/net/ipv4/ip_local_port_range"))
	require.Equal(t, "0", r.OK("safe", "sysctl -n net.ipv4.tcp_syncookies"))
	r.Fails("safe", "echo 1 >/proc/sys/net/ipv4/tcp_syncookies", "ead-only file system")
	pod("unsafe", `{name: kernel.msgmax, value: "65536"}`)
	refused := r.Pod("unsafe", "is refused by the kubelet", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	require.Equal(t, "SysctlForbidden", refused.Status.Reason)
	pod("wrong", `{name: net.ipv4.tcp_rmem, value: "many"}`)
	r.Event("Pod", "wrong", "FailedCreatePodSandBox", "write sysctl key net.ipv4.tcp_rmem: invalid argument")
}

// TestHostsOfTheNode: a pod on the host's network sees the hosts file of its node, with its own aliases behind it.
func TestHostsOfTheNode(t *testing.T) {
	r := fixture.Rig(t)
	r.Apply(`
apiVersion: v1
kind: Pod
metadata: {name: on-the-node}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 0
  hostAliases: [{ip: 192.0.2.7, hostnames: [web, other.example]}]
  volumes: [{name: hosts, hostPath: {path: /etc/hosts, type: File}}]
  containers:
    - {name: main, image: "registry.local/library/busybox:1.36", args: [sh, -c, "sleep 100000"], volumeMounts: [{name: hosts, mountPath: /etc/hosts-of-the-node}]}
`)
	pod := r.Running("on-the-node")
	line := pod.Status.HostIP + "\t" + pod.Spec.NodeName
	nodes := r.OK("on-the-node", "cat /etc/hosts-of-the-node")
	require.Contains(t, nodes, line)
	hosts := r.OK("on-the-node", "cat /etc/hosts")
	require.Equal(t, "# Kubernetes-managed hosts file (host network).\n"+nodes+"\n\n# Entries added by HostAliases.\n192.0.2.7\tweb\tother.example", hosts)
	require.Contains(t, r.OK("on-the-node", "getent hosts "+pod.Spec.NodeName), pod.Status.HostIP)
	require.Contains(t, r.OK("on-the-node", "getent hosts other.example"), "192.0.2.7")
}
