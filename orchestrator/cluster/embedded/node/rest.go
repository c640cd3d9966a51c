package node

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/kubernetes/pkg/kubelet"
	"k8s.io/kubernetes/pkg/kubelet/config"
	"k8s.io/kubernetes/pkg/kubelet/pleg"
	volumecache "k8s.io/kubernetes/pkg/kubelet/volumemanager/cache"
	"k8s.io/kubernetes/pkg/kubelet/volumemanager/populator"
	volumetypes "k8s.io/kubernetes/pkg/volume/util/types"

	"github.com/gameday-bench/gameday/internal/unexported"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

const (
	// relistRest is what upstream's second leaves of the fast profile's quarter, at which pods and containers are listed while something happens.
	relistRest   = 750 * time.Millisecond
	relistSettle = 3 * time.Second
	// volumeRest makes half a second of the tenth after which upstream compares the volumes that there should be with those that there are. While a pod
	// comes or goes they are compared as often as upstream does.
	volumeRest   = 400 * time.Millisecond
	volumeSettle = 2 * time.Second
)

// newRelistPace is the pace at which the kubelet lists pods and containers. It hurries whenever one of them has changed, or somebody else has changed a pod.
func newRelistPace() *pace { return newPace(relistRest, relistSettle) }

// slacken lets the kubelet's loops rest while nothing happens. In the production profile they keep upstream's periods.
func slacken(k *kubelet.Kubelet, timing spec.Timing, relists *pace) error {
	if !fast(timing) {
		return nil
	}
	if err := slackenRelist(k, timing.PLEGRelist, relists); err != nil {
		return fmt.Errorf("slacken the kubelet's list of containers: %w", err)
	}
	if err := slackenVolumes(k, newPace(volumeRest, volumeSettle)); err != nil {
		return fmt.Errorf("slacken the kubelet's care for volumes: %w", err)
	}
	return nil
}

func slackenRelist(k *kubelet.Kubelet, every time.Duration, relists *pace) error {
	generic, err := unexported.Get[*pleg.GenericPLEG](k, "pleg")
	if err != nil {
		return err
	}
	return unexported.Set[pleg.PodLifecycleEventGenerator](k, &pacedPLEG{generic, every, relists}, "pleg")
}

// pacedPLEG is upstream's generator of events of pods and containers, which it finds by listing, at a pace.
type pacedPLEG struct {
	*pleg.GenericPLEG
	every time.Duration
	pace  *pace
}

// Start lists until the process ends. A node is ready once it has listed: its first lists do not wait, however long ago the pace was made.
func (p *pacedPLEG) Start() {
	p.pace.hurry()
	go wait.Until(func() {
		p.pace.hold()
		p.Relist()
	}, p.every, wait.NeverStop)
}

// SetPodWatchCondition is looked at with each list.
func (p *pacedPLEG) SetPodWatchCondition(pod types.UID, key string, condition pleg.WatchCondition) {
	p.GenericPLEG.SetPodWatchCondition(pod, key, condition)
	p.pace.hurry()
}

// slackenVolumes holds both loops of the volume manager where they begin to look: one asks the pod manager for all pods, the other asks whether the first has
// seen them.
func slackenVolumes(k *kubelet.Kubelet, volumes *pace) error {
	const manager, desired = "volumeManager", "desiredStateOfWorldPopulator"
	pods, err := unexported.Get[populator.PodManager](k, manager, desired, "podManager")
	if err != nil {
		return err
	}
	states, err := unexported.Get[populator.PodStateProvider](k, manager, desired, "podStateProvider")
	if err != nil {
		return err
	}
	actual, err := unexported.Get[volumecache.ActualStateOfWorld](k, manager, "actualStateOfWorld")
	if err != nil {
		return err
	}
	inner, err := unexported.Get[populator.DesiredStateOfWorldPopulator](k, manager, desired)
	if err != nil {
		return err
	}
	if err := unexported.Set[populator.PodManager](k, pacedPods{pods, volumes}, manager, desired, "podManager"); err != nil {
		return err
	}
	paced := func() bool {
		volumes.hold()
		return inner.HasAddedPods()
	}
	if err := unexported.Set(k, paced, manager, "reconciler", "populatorHasAddedPods"); err != nil {
		return err
	}
	return unexported.Set[populator.DesiredStateOfWorldPopulator](k, &pacedPopulator{inner, actual, states, volumes}, manager, desired)
}

// pacedPods is the pod manager at a pace.
type pacedPods struct {
	populator.PodManager
	pace *pace
}

func (p pacedPods) GetPods() []*corev1.Pod {
	p.pace.hold()
	return p.PodManager.GetPods()
}

// pacedPopulator is upstream's populator of the volumes that there should be. Whoever waits for the volumes of a pod asks it to look at that pod.
type pacedPopulator struct {
	populator.DesiredStateOfWorldPopulator
	actual volumecache.ActualStateOfWorld
	states populator.PodStateProvider
	pace   *pace
}

// Run looks until ctx ends. Its first looks do not wait: no volume is unmounted before them.
func (p *pacedPopulator) Run(ctx context.Context, ready config.SourcesReady) {
	p.pace.hurry()
	p.DesiredStateOfWorldPopulator.Run(ctx, ready)
}

// ReprocessPod hurries for a pod that comes or goes. For any other it means that volumes may have got new content, which can wait for the next look.
func (p *pacedPopulator) ReprocessPod(pod volumetypes.UniquePodName) {
	p.DesiredStateOfWorldPopulator.ReprocessPod(pod)
	if !p.actual.PodHasMountedVolumes(pod) || p.states.ShouldPodContainersBeTerminating(types.UID(pod)) {
		p.pace.hurry()
	}
}
