package node

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/kubernetes/pkg/kubelet"
	"k8s.io/kubernetes/pkg/kubelet/config"

	"github.com/gameday-bench/gameday/internal/unexported"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/cri"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// TestTune builds the real kubelet, whose private fields have to be where tune looks for them.
func TestTune(t *testing.T) {
	dir := t.TempDir()
	cluster := &spec.Cluster{
		Name: "c", Dir: dir, Timing: spec.Fast(),
		Network: spec.Network{DNS: netip.MustParseAddr("10.96.0.10"), Domain: "cluster.local"},
		Nodes:   []spec.Node{{Name: "node-1", Address: netip.MustParseAddr("172.18.0.11"), CPU: "2", Memory: "4Gi", Disk: "8Gi", PIDs: 1000, MaxPods: 10}},
	}
	cfg := &rest.Config{Host: "http://127.0.0.1:1"} // Nobody answers: nothing is asked that matters here.
	cl := &clients{main: kubernetes.NewForConfigOrDie(cfg), heartbeat: kubernetes.NewForConfigOrDie(cfg), events: typedv1.NewForConfigOrDie(cfg)}
	rt, err := cri.New(context.Background(), cri.Config{Dir: filepath.Join(dir, "cri"), HostPathDir: filepath.Join(dir, "root")})
	require.NoError(t, err)
	defer rt.Close()
	m, err := newMachine(cluster, cluster.Nodes[0], time.Now())
	require.NoError(t, err)
	k := &kubeletNode{cluster: cluster, node: cluster.Nodes[0], paths: pathsOf(cluster, "node-1"), clients: cl, runtime: rt, machine: m, dial: hostDial, gate: newGate(), owners: newOwners()}
	kc, err := kubeletConfig(cluster, k.node, k.paths)
	require.NoError(t, err)
	want := &record.FakeRecorder{}
	deps := k.dependencies(want)
	var tuned *kubelet.Kubelet
	tuneErr := context.Canceled
	deps.Options = []kubelet.Option{func(kl *kubelet.Kubelet) {
		tuned, tuneErr = kl, errors.Join(tune(kl, cluster.Timing, hostDial, k.gate), watchShortage(kl, cluster.Timing, m, rt.Tasks),
			slacken(kl, cluster.Timing, newRelistPace()))
	}}
	deps.PodConfig = config.NewPodConfig(config.PodConfigNotificationIncremental, want, deps.PodStartupLatencyTracker)
	_, err = k.build(context.Background(), kc, deps)
	require.NoError(t, err)
	require.NoError(t, tuneErr)

	require.Same(t, want, deps.Recorder, "the real recorder took the place of the stand-in")
	relist, err := unexported.Get[time.Duration](tuned, "pleg", "relistDuration", "RelistPeriod")
	require.NoError(t, err)
	require.Equal(t, cluster.Timing.PLEGRelist, relist)
	_, err = unexported.Get[*pacedPLEG](tuned, "pleg")
	require.NoError(t, err)
	_, err = unexported.Get[*pacedPopulator](tuned, "volumeManager", "desiredStateOfWorldPopulator")
	require.NoError(t, err)
	recorder, err := unexported.Get[record.EventRecorder](tuned, "recorder")
	require.NoError(t, err)
	require.Same(t, want, recorder)
	_, err = unexported.Field(tuned, "pleg", "nosuch")
	require.ErrorContains(t, err, `has no field "nosuch"`)
	require.ErrorContains(t, unexported.Set(tuned, 1, "nodeIPValidator"), "not a int")
}
