package node

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/kubelet/config"
	kubetypes "k8s.io/kubernetes/pkg/kubelet/types"
)

// nodePoll is how often the API server is asked whether the node is registered or ready.
const nodePoll = 50 * time.Millisecond

// feedPods sends the pods that are bound to the node to the kubelet, from when the node is registered until ctx ends. It calls changed before it does.
func feedPods(ctx context.Context, client kubernetes.Interface, g *gate, own *owners, node string, pods *config.PodConfig, changed func()) {
	updates := pods.Channel(ctx, kubetypes.ApiserverSource)
	go func() {
		if err := waitForNode(ctx, client, node, func(*corev1.Node) bool { return true }); err != nil {
			return
		}
		allowed := &authorization{client: client, known: map[types.UID]bool{}}
		send := func(objs []any) {
			list := make([]*corev1.Pod, 0, len(objs))
			for _, o := range objs {
				list = append(list, o.(*corev1.Pod))
			}
			list = own.take(list)
			allowed.wait(ctx, list)
			if g.wait(ctx) != nil {
				return
			}
			changed()
			updates <- kubetypes.PodUpdate{Pods: list, Op: kubetypes.SET, Source: kubetypes.ApiserverSource}
		}
		lw := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll,
			fields.OneTermEqualSelector("spec.nodeName", node))
		r := cache.NewReflector(lw, &corev1.Pod{}, cache.NewUndeltaStore(send, cache.MetaNamespaceKeyFunc), 0)
		r.Run(ctx.Done())
	}()
}

// waitForAPIServer waits until the API server is ready. What is started earlier would fail, and come back only after
// back-offs of seconds.
func waitForAPIServer(ctx context.Context, client kubernetes.Interface) error {
	tick := time.NewTicker(nodePoll)
	defer tick.Stop()
	for {
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the API server: %w (last: %w)", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// waitForNode waits until the node exists and ok holds for it.
func waitForNode(ctx context.Context, client kubernetes.Interface, name string, ok func(*corev1.Node) bool) error {
	tick := time.NewTicker(nodePoll)
	defer tick.Stop()
	var last error
	for {
		n, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err == nil && ok(n) {
			return nil
		}
		last = err
		select {
		case <-ctx.Done():
			if last != nil {
				return fmt.Errorf("wait for node %s: %w (last: %w)", name, ctx.Err(), last)
			}
			return fmt.Errorf("wait for node %s: %w", name, ctx.Err())
		case <-tick.C:
		}
	}
}
