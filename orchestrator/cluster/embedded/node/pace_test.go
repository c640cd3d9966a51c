package node

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/kubelet"
	"k8s.io/kubernetes/pkg/kubelet/config"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/kubelet/pleg"
	volumecache "k8s.io/kubernetes/pkg/kubelet/volumemanager/cache"
	"k8s.io/kubernetes/pkg/kubelet/volumemanager/populator"
	volumetypes "k8s.io/kubernetes/pkg/volume/util/types"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/unexported"
)

// held is how long a loop is held.
func held(p *pace) time.Duration {
	begin := time.Now()
	p.hold()
	return time.Since(begin)
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rest, settle = time.Second, 3 * time.Second
		p := newPace(rest, settle)
		require.Zero(t, held(p), "a loop that has just started does not rest")
		time.Sleep(settle)
		require.Equal(t, rest, held(p))
		require.Equal(t, rest, held(p))

		var loops sync.WaitGroup
		for range 2 {
			loops.Go(func() {
				if got := held(p); got != 300*time.Millisecond {
					t.Errorf("a loop went on after %v", got)
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
		p.hurry()
		loops.Wait()
		require.Zero(t, held(p), "there may be more to come")
		time.Sleep(settle - time.Millisecond)
		p.hurry()
		time.Sleep(settle - time.Millisecond)
		require.Zero(t, held(p), "a hurry counts from the last one")
		time.Sleep(time.Millisecond)
		require.Equal(t, rest, held(p))
	})
}

// settled is a pace whose first settle was over long ago, as that of a kubelet that took long to start. Nobody outlasts its rest.
func settled() *pace {
	return &pace{rest: time.Hour, settle: time.Minute, woken: make(chan struct{})}
}

// listed is a container runtime without pods that says when they are listed.
type listed struct {
	kubecontainer.Runtime
	lists chan struct{}
}

func (l listed) GetPods(context.Context, bool) ([]*kubecontainer.Pod, error) {
	select {
	case l.lists <- struct{}{}:
	default:
	}
	return nil, nil
}

// TestFirstListDoesNotWait: a node is ready when its kubelet has listed.
func TestFirstListDoesNotWait(t *testing.T) {
	runtime := listed{lists: make(chan struct{}, 1)}
	generic := pleg.NewGenericPLEG(klog.Background(), runtime, make(chan *pleg.PodLifecycleEvent), &pleg.RelistDuration{}, kubecontainer.NewCache(),
		clock.RealClock{}).(*pleg.GenericPLEG)
	p := &pacedPLEG{generic, time.Hour, settled()}
	p.Start()
	select {
	case <-runtime.lists:
	case <-time.After(time.Minute):
		require.Fail(t, "the first list waits")
	}
}

// TestKubeletThatStartsAgainLists at once.
func TestKubeletThatStartsAgainLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &kubelet.Kubelet{}
		require.NoError(t, unexported.Set[record.EventRecorder](k, &record.FakeRecorder{}, "recorder"))
		c := &control{kubelet: &kubeletNode{gate: newGate(), relists: newRelistPace(), kubelet: k}}
		c.stopKubelet(nil, nil)
		time.Sleep(relistSettle)
		require.Equal(t, relistRest, held(c.kubelet.relists))
		c.startKubelet(nil, nil)
		require.Zero(t, held(c.kubelet.relists))
		time.Sleep(relistSettle)
		c.startKubelet(nil, nil)
		require.Equal(t, relistRest, held(c.kubelet.relists), "it runs already")
	})
}

// volumesOf is a volume manager's knowledge of pods: whether their volumes are mounted and whether they end. It counts what it is asked to look at again.
type volumesOf struct {
	volumecache.ActualStateOfWorld
	populator.PodStateProvider
	mounted, ends map[volumetypes.UniquePodName]bool
	again         []volumetypes.UniquePodName
}

func (v *volumesOf) PodHasMountedVolumes(pod volumetypes.UniquePodName) bool { return v.mounted[pod] }

func (v *volumesOf) ShouldPodContainersBeTerminating(pod types.UID) bool {
	return v.ends[volumetypes.UniquePodName(pod)]
}

// looked is a populator that notes which pods it has to look at again.
type looked struct {
	populator.DesiredStateOfWorldPopulator
	at *volumesOf
}

func (l looked) ReprocessPod(pod volumetypes.UniquePodName) { l.at.again = append(l.at.again, pod) }

func (looked) Run(context.Context, config.SourcesReady) {}

// TestFirstLookAtVolumesDoesNotWait: the kubelet unmounts nothing before it.
func TestFirstLookAtVolumesDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &volumesOf{}
		paced := &pacedPopulator{looked{at: v}, v, v, settled()}
		paced.Run(t.Context(), nil)
		require.Zero(t, held(paced.pace))
	})
}

// TestVolumesOfPodsThatComeOrGoDoNotWait: a pod that only runs is looked at again in its turn.
func TestVolumesOfPodsThatComeOrGoDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &volumesOf{mounted: map[volumetypes.UniquePodName]bool{"runs": true, "ends": true}, ends: map[volumetypes.UniquePodName]bool{"ends": true}}
		p := newPace(volumeRest, volumeSettle)
		paced := &pacedPopulator{looked{at: v}, v, v, p}
		for pod, want := range map[volumetypes.UniquePodName]time.Duration{"comes": 0, "runs": volumeRest, "ends": 0} {
			time.Sleep(volumeSettle)
			paced.ReprocessPod(pod)
			require.Equal(t, want, held(p), string(pod))
		}
		require.Len(t, v.again, 3)
	})
}
