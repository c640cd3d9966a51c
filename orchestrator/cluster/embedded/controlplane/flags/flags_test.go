package flags_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/flags"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

func cluster(timing spec.Timing) *spec.Cluster {
	return &spec.Cluster{
		Name: "c", Dir: "/run/c", Timing: timing, Ports: spec.Ports{APIServer: 34567},
		Network: spec.Network{
			PodCIDR: netip.MustParsePrefix("10.244.0.0/16"), ServiceCIDR: netip.MustParsePrefix("10.96.0.0/16"),
			ControlPlane: netip.MustParseAddr("172.18.0.2"), DNS: netip.MustParseAddr("10.96.0.10"), Domain: "cluster.local",
		},
	}
}

// parse turns a command line into a map and fails on a flag that is given twice.
func parse(t *testing.T, args []string) map[string]string {
	t.Helper()
	m := map[string]string{}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		require.True(t, ok, a)
		require.NotContains(t, m, name)
		m[name] = value
	}
	return m
}

func TestAPIServerListensOnLoopbackAndAdvertisesTheClusterAddress(t *testing.T) {
	m := parse(t, flags.APIServer(cluster(spec.Fast())))
	require.Equal(t, "127.0.0.1", m["--bind-address"])
	require.Equal(t, "34567", m["--secure-port"])
	require.Equal(t, "172.18.0.2", m["--advertise-address"])
	require.Equal(t, "10.96.0.0/16", m["--service-cluster-ip-range"])
	require.Equal(t, "unix:///run/c/s/etcd", m["--etcd-servers"], "etcd must not be reachable by other users")
	require.Equal(t, "InternalIP", m["--kubelet-preferred-address-types"])
}

func TestAPIServerAuthorizesNodesAndRoles(t *testing.T) {
	m := parse(t, flags.APIServer(cluster(spec.Fast())))
	require.Equal(t, "Node,RBAC", m["--authorization-mode"])
	require.Equal(t, "NodeRestriction", m["--enable-admission-plugins"])
	require.NotContains(t, m, "--token-auth-file")
	require.NotContains(t, m, "--feature-gates", "the gates are upstream's")
	require.Equal(t, "https://kubernetes.default.svc.cluster.local", m["--service-account-issuer"])
}

func TestEvictionToleranceIsTheTimingsInWholeSeconds(t *testing.T) {
	for _, tc := range []struct {
		name      string
		tolerance time.Duration
		want      string
	}{
		{"fast", spec.Fast().EvictionTolerance, "10"},
		{"production", spec.Production().EvictionTolerance, "300"},
		{"rounded up", 1500 * time.Millisecond, "2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := parse(t, flags.APIServer(cluster(spec.Timing{EvictionTolerance: tc.tolerance})))
			require.Equal(t, tc.want, m["--default-not-ready-toleration-seconds"])
			require.Equal(t, tc.want, m["--default-unreachable-toleration-seconds"])
		})
	}
}

func TestSchedulerConfigurationIsValidYAML(t *testing.T) {
	var c struct {
		Kind           string `yaml:"kind"`
		LeaderElection struct {
			LeaderElect bool `yaml:"leaderElect"`
		} `yaml:"leaderElection"`
		ClientConnection struct {
			Kubeconfig string `yaml:"kubeconfig"`
			QPS        int    `yaml:"qps"`
		} `yaml:"clientConnection"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(flags.Scheduler(cluster(spec.Fast()))), &c))
	require.Equal(t, "KubeSchedulerConfiguration", c.Kind)
	require.False(t, c.LeaderElection.LeaderElect)
	require.Equal(t, "/run/c/kubeconfig/scheduler", c.ClientConnection.Kubeconfig)
	require.Greater(t, c.ClientConnection.QPS, 1000, "client-go's default makes a rollout ten times slower")
}
