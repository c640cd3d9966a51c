// Package flags turns a cluster's spec into the settings of the Kubernetes control plane's components.
//
// What is not set here is upstream's default. The settings are those of kubeadm where kubeadm has an opinion, so that
// the cluster behaves as people expect one to.
package flags

import (
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// InternalQPS and InternalBurst are the client limits of everything that runs inside the control plane. With
// client-go's defaults a scale-up of twenty pods takes ten times as long.
const (
	InternalQPS   = 2000
	InternalBurst = 4000
)

// EtcdSocket is the unix socket on which etcd serves its client API. A unix socket in the cluster's private directory
// keeps other users of the machine out, which a port would not.
func EtcdSocket(c *spec.Cluster) string { return filepath.Join(c.Dir, "s", "etcd") }

// EtcdPeerSocket is the unix socket that etcd insists on for peers that do not exist.
func EtcdPeerSocket(c *spec.Cluster) string { return filepath.Join(c.Dir, "s", "etcd-peer") }

// SchedulerConfig is the path of the scheduler's configuration.
func SchedulerConfig(c *spec.Cluster) string { return filepath.Join(c.Dir, "scheduler.yaml") }

// ServiceAccountIssuer is the issuer of service account tokens.
func ServiceAccountIssuer(c *spec.Cluster) string {
	return "https://kubernetes.default.svc." + c.Network.Domain
}

// APIServer returns the command line of kube-apiserver.
func APIServer(c *spec.Cluster) []string {
	pki := func(name string) string { return filepath.Join(c.PKI(), name) }
	tolerance := seconds(c.Timing.EvictionTolerance)
	return []string{
		"--advertise-address=" + c.Network.ControlPlane.String(),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.Ports.APIServer),
		"--etcd-servers=unix://" + EtcdSocket(c),
		"--service-cluster-ip-range=" + c.Network.ServiceCIDR.String(),

		"--client-ca-file=" + pki("ca.crt"),
		"--tls-cert-file=" + pki("apiserver.crt"),
		"--tls-private-key-file=" + pki("apiserver.key"),

		"--kubelet-client-certificate=" + pki("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + pki("apiserver-kubelet-client.key"),
		"--kubelet-certificate-authority=" + pki("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",

		"--requestheader-client-ca-file=" + pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + pki("front-proxy-client.key"),

		"--service-account-issuer=" + ServiceAccountIssuer(c),
		"--service-account-key-file=" + pki("sa.pub"),
		"--service-account-signing-key-file=" + pki("sa.key"),

		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		fmt.Sprintf("--default-not-ready-toleration-seconds=%d", tolerance),
		fmt.Sprintf("--default-unreachable-toleration-seconds=%d", tolerance),
	}
}

// seconds rounds d up to whole seconds.
func seconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

// Scheduler returns the scheduler's configuration file.
func Scheduler(c *spec.Cluster) string {
	return fmt.Sprintf(`apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection:
  leaderElect: false
clientConnection:
  kubeconfig: %q
  qps: %d
  burst: %d
  contentType: application/vnd.kubernetes.protobuf
`, c.Kubeconfig("scheduler"), InternalQPS, InternalBurst)
}
