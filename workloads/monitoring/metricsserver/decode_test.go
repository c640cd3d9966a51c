package metricsserver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
)

// answer is what a kubelet says, times in milliseconds.
const answer = `# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="web",namespace="shop",pod="web-1"} 12.5 1700000002000
container_cpu_usage_seconds_total{container="late",namespace="shop",pod="half-1"} 1 1700000002000
container_cpu_usage_seconds_total{container="web",namespace="shop",pod="half-1"} 1 1700000002000
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{container="web",namespace="shop",pod="web-1"} 3.145728e+07 1700000001000
container_memory_working_set_bytes{container="web",namespace="shop",pod="half-1"} 1 1700000001000
# TYPE container_start_time_seconds gauge
container_start_time_seconds{container="web",namespace="shop",pod="web-1"} 1.6999999e+09
# TYPE node_cpu_usage_seconds_total counter
node_cpu_usage_seconds_total 100 1700000002000
# TYPE node_memory_working_set_bytes gauge
node_memory_working_set_bytes 2.097152e+08 1700000002000
# TYPE pod_cpu_usage_seconds_total counter
pod_cpu_usage_seconds_total{namespace="shop",pod="web-1"} 99 1700000002000
# TYPE resource_scrape_error gauge
resource_scrape_error 0
`

func TestDecode(t *testing.T) {
	t.Parallel()
	got, err := decode([]byte(answer), "node-1", time.Unix(1700000009, 0))
	require.NoError(t, err)
	web := got.Pods[types.NamespacedName{Namespace: "shop", Name: "web-1"}].Containers["web"]
	require.Equal(t, uint64(12_500_000_000), web.CumulativeCpuUsed)
	require.Equal(t, uint64(30<<20), web.MemoryUsage)
	require.Equal(t, time.UnixMilli(1700000002000), web.Timestamp, "the time of the CPU figure, over which the rate is taken")
	require.Equal(t, time.Unix(1699999900, 0), web.StartTime)
	require.Len(t, got.Pods, 1, "a pod with half of its figures is left out")
	node := got.Nodes["node-1"]
	require.Equal(t, uint64(100e9), node.CumulativeCpuUsed)
	require.Equal(t, uint64(200<<20), node.MemoryUsage)
}

func TestDecodeWithoutTimes(t *testing.T) {
	t.Parallel()
	asked := time.Unix(1700000009, 0)
	got, err := decode([]byte("node_cpu_usage_seconds_total 1\nnode_memory_working_set_bytes 5\n"), "node-1", asked)
	require.NoError(t, err)
	require.Equal(t, asked, got.Nodes["node-1"].Timestamp)
}

func TestDecodeRefusesWhatIsNoMetrics(t *testing.T) {
	t.Parallel()
	_, err := decode([]byte("<html>\n"), "node-1", time.Time{})
	require.ErrorContains(t, err, "node-1")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"--metric-resolution=3s", "--kubelet-preferred-address-types=InternalIP, Hostname"})
	require.NoError(t, err)
	require.Equal(t, 2700*time.Millisecond, o.timeout, "a kubelet that hangs does not delay the next round")
	require.Len(t, o.addresses, 2)
	for _, args := range [][]string{{"--metric-resolution=10ms"}, {"--kubelet-request-timeout=0s"}, {"extra"}, {"--no-such-flag"}} {
		_, err := parseOptions(args)
		require.Error(t, err, args)
	}
}
