package node

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

const (
	// authorizationPoll is how often the API server is asked whether the node may read what a new pod refers to.
	authorizationPoll = 10 * time.Millisecond
	// authorizationWait is how long a pod is held back for that at most.
	authorizationWait = time.Second
)

// authorization holds new pods back until the node may read their ConfigMaps and Secrets.
//
// The API server's node authorizer learns which pod is on which node from a watch of its own, a few milliseconds after the
// binding; the kubelet, from another. Where the kubelet wins, it is refused, and its cache of the object comes back only
// after a back-off: the pod starts seconds later than it could. It is used by one goroutine.
type authorization struct {
	client kubernetes.Interface
	known  map[types.UID]bool
}

func (a *authorization) wait(ctx context.Context, pods []*corev1.Pod) {
	ctx, cancel := context.WithTimeout(ctx, authorizationWait)
	defer cancel()
	var all sync.WaitGroup
	current := make(map[types.UID]bool, len(pods))
	for _, pod := range pods {
		current[pod.UID] = true
		if a.known[pod.UID] {
			continue
		}
		podutil.VisitPodConfigmapNames(pod, func(name string) bool {
			all.Go(func() {
				until(ctx, func() error {
					_, err := a.client.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
					return err
				})
			})
			return true
		})
		podutil.VisitPodSecretNames(pod, func(name string) bool {
			all.Go(func() {
				until(ctx, func() error {
					_, err := a.client.CoreV1().Secrets(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
					return err
				})
			})
			return true
		})
	}
	all.Wait()
	a.known = current
}

// until calls get until it is not refused any more.
func until(ctx context.Context, get func() error) {
	for apierrors.IsForbidden(get()) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(authorizationPoll):
		}
	}
}
