package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// assignPodCIDRs gives every node that registers the pod addresses that the spec plans for it. The controller manager's
// own allocator would number the nodes in the order in which they come, and the network is laid before that.
func (p *plane) assignPodCIDRs(ctx context.Context, admin *rest.Config) error {
	c, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	assign := func(obj any) {
		node, ok := obj.(*corev1.Node)
		if !ok || node.Spec.PodCIDR != "" {
			return
		}
		planned, err := p.spec.Node(node.Name)
		if err != nil {
			p.log.Warn("a node registers that is not in the plan", "node", node.Name)
			return
		}
		cidr := planned.PodCIDR.String()
		patch, err := json.Marshal(map[string]any{"spec": map[string]any{"podCIDR": cidr, "podCIDRs": []string{cidr}}})
		if err != nil {
			p.log.Error("encode node patch", "error", err)
			return
		}
		_, err = c.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		if err != nil && ctx.Err() == nil {
			p.log.Warn("assign pod addresses", "node", node.Name, "error", err)
		}
	}
	// The resync repeats what failed.
	factory := informers.NewSharedInformerFactory(c, 10*time.Second)
	nodes := factory.Core().V1().Nodes().Informer()
	if _, err := nodes.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: assign, UpdateFunc: func(_, obj any) { assign(obj) },
	}); err != nil {
		return fmt.Errorf("watch nodes: %w", err)
	}
	factory.Start(ctx.Done())
	return nil
}
