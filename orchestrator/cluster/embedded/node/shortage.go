package node

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	"k8s.io/kubernetes/pkg/kubelet"
	"k8s.io/kubernetes/pkg/kubelet/eviction"
	"k8s.io/kubernetes/pkg/kubelet/server/stats"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/internal/unexported"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// taintsOf are the taints that a node registers with.
func taintsOf(n spec.Node) []corev1.Taint {
	var out []corev1.Taint
	for _, t := range n.Taints {
		out = append(out, corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	return out
}

// watchShortage gives the kubelet's eviction manager the node's own number of tasks, where it would read the host's, and lets it look
// more often in the fast profile.
func watchShortage(k *kubelet.Kubelet, timing spec.Timing, m *machine, tasks func() int64) error {
	summaries, err := unexported.Get[stats.SummaryProvider](k, "resourceAnalyzer", "SummaryProvider")
	if err != nil {
		return fmt.Errorf("watch the node's tasks: %w", err)
	}
	own := &ownTasks{SummaryProvider: summaries, machine: m, tasks: tasks}
	if err := unexported.Set[stats.SummaryProvider](k, own, "resourceAnalyzer", "SummaryProvider"); err != nil {
		return fmt.Errorf("watch the node's tasks: %w", err)
	}
	if !fast(timing) {
		return nil
	}
	manager, err := unexported.Get[eviction.Manager](k, "evictionManager")
	if err == nil {
		err = unexported.Set[eviction.Manager](k, &evictionPace{Manager: manager, every: fastEvictionMonitor}, "evictionManager")
	}
	if err != nil {
		return fmt.Errorf("set the pace of evictions: %w", err)
	}
	return nil
}

// ownTasks is the kubelet's summary with the node's own number of tasks.
type ownTasks struct {
	stats.SummaryProvider
	machine *machine
	tasks   func() int64
}

func (o *ownTasks) Get(ctx context.Context, updateStats bool) (*statsapi.Summary, error) {
	s, err := o.SummaryProvider.Get(ctx, updateStats)
	if err != nil {
		return nil, err
	}
	s.Node.Rlimit = &statsapi.RlimitStats{Time: metav1.Now(), MaxPID: ptr.To(o.machine.pids), NumOfRunningProcesses: ptr.To(o.tasks())}
	return s, nil
}

// evictionPace is the eviction manager with an interval of its own.
type evictionPace struct {
	eviction.Manager
	every time.Duration
}

func (e *evictionPace) Start(ctx context.Context, disks eviction.DiskInfoProvider, pods eviction.ActivePodsFunc, cleaned eviction.PodCleanedUpFunc, _ time.Duration) {
	e.Manager.Start(ctx, disks, pods, cleaned, e.every)
}
