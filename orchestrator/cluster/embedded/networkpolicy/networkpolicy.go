// Package networkpolicy enforces NetworkPolicies on the userspace network: it watches them, with the pods and namespaces
// that they select, and tells a node's network what each of its pods may talk to.
package networkpolicy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listerscorev1 "k8s.io/client-go/listers/core/v1"
	listersnetworkingv1 "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
)

// Enforcer is what takes the policies: *network.Network.
type Enforcer interface {
	// SetPolicies replaces the policies of the node's pods.
	SetPolicies(map[netip.Addr]network.PodPolicy)
}

// batch is how long changes are collected before the network is programmed.
const batch = 20 * time.Millisecond

// Pod is a pod of this node with an address of its own.
type Pod struct {
	Addr            netip.Addr
	Namespace, Name string
	// Labels are those that the pod was made with; the API's count once they are known.
	Labels map[string]string
}

// Controller computes the policies of one node's pods. It is safe for concurrent use.
type Controller struct {
	net Enforcer
	log *slog.Logger

	changed  chan struct{}
	policies informers.SharedInformerFactory
	peers    informers.SharedInformerFactory // pods and namespaces: started with the first policy, since most clusters have none.
	policy   listersnetworkingv1.NetworkPolicyLister
	pods     listerscorev1.PodLister
	spaces   listerscorev1.NamespaceLister
	synced   cache.InformerSynced

	mu      sync.Mutex
	watched bool // peers has been started and filled.
	local   map[netip.Addr]Pod
	last    map[netip.Addr]network.PodPolicy
	stop    <-chan struct{}
}

// New returns a controller that does not run yet.
func New(client kubernetes.Interface, net Enforcer, log *slog.Logger) (*Controller, error) {
	if log == nil {
		log = slog.Default()
	}
	c := &Controller{
		net: net, log: log, changed: make(chan struct{}, 1), local: map[netip.Addr]Pod{},
		policies: informers.NewSharedInformerFactory(client, 0), peers: informers.NewSharedInformerFactory(client, 0),
	}
	policies, pods, spaces := c.policies.Networking().V1().NetworkPolicies(), c.peers.Core().V1().Pods(), c.peers.Core().V1().Namespaces()
	c.policy, c.pods, c.spaces = policies.Lister(), pods.Lister(), spaces.Lister()
	c.synced = policies.Informer().HasSynced
	for _, informer := range []cache.SharedIndexInformer{policies.Informer(), pods.Informer(), spaces.Informer()} {
		if err := informer.SetTransform(strip); err != nil {
			return nil, fmt.Errorf("strip cached objects: %w", err)
		}
		if _, err := informer.AddEventHandler(c.handler()); err != nil {
			return nil, fmt.Errorf("watch network policies: %w", err)
		}
	}
	return c, nil
}

func (c *Controller) handler() cache.ResourceEventHandlerFuncs {
	notify := func() {
		select {
		case c.changed <- struct{}{}:
		default:
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { notify() }, DeleteFunc: func(any) { notify() },
		UpdateFunc: func(before, after any) {
			if !same(before, after) {
				notify()
			}
		},
	}
}

// same says whether an update changes nothing that a policy can see: most updates of pods are of their conditions.
func same(before, after any) bool {
	switch a := after.(type) {
	case *corev1.Pod:
		b := before.(*corev1.Pod)
		return reflect.DeepEqual(a.Labels, b.Labels) && reflect.DeepEqual(a.Status, b.Status) && reflect.DeepEqual(a.Spec, b.Spec)
	case *corev1.Namespace:
		return reflect.DeepEqual(a.Labels, before.(*corev1.Namespace).Labels)
	case *networkingv1.NetworkPolicy:
		return reflect.DeepEqual(a.Spec, before.(*networkingv1.NetworkPolicy).Spec)
	}
	return false
}

// strip drops what is not used from cached objects: every node holds every pod.
func strip(obj any) (any, error) {
	switch o := obj.(type) {
	case *corev1.Pod:
		out := &corev1.Pod{ObjectMeta: meta(o.ObjectMeta)}
		out.Spec.HostNetwork = o.Spec.HostNetwork
		out.Status.Phase, out.Status.PodIPs = o.Status.Phase, o.Status.PodIPs
		for _, list := range [][]corev1.Container{o.Spec.InitContainers, o.Spec.Containers} {
			for _, ctr := range list {
				for _, p := range ctr.Ports {
					if p.Name != "" {
						out.Spec.Containers = append(out.Spec.Containers, corev1.Container{Ports: []corev1.ContainerPort{p}})
					}
				}
			}
		}
		return out, nil
	case *corev1.Namespace:
		return &corev1.Namespace{ObjectMeta: meta(o.ObjectMeta)}, nil
	case *networkingv1.NetworkPolicy:
		return &networkingv1.NetworkPolicy{ObjectMeta: meta(o.ObjectMeta), Spec: o.Spec}, nil
	}
	return obj, nil
}

func meta(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion, Labels: m.Labels}
}

// Run follows the cluster until ctx ends, which is no error.
func (c *Controller) Run(ctx context.Context) error {
	c.mu.Lock()
	c.stop = ctx.Done()
	c.mu.Unlock()
	c.policies.Start(ctx.Done())
	defer c.policies.Shutdown()
	defer c.peers.Shutdown()
	if !cache.WaitForCacheSync(ctx.Done(), c.synced) {
		return nil
	}
	for {
		if err := c.sync(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("network policies not programmed", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(batch):
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.changed:
		}
	}
}

// Admit makes a pod known before its first container starts. When it returns without an error, the pod is isolated as the
// policies say.
func (c *Controller) Admit(ctx context.Context, pod Pod) error {
	if !cache.WaitForCacheSync(ctx.Done(), c.synced) {
		return fmt.Errorf("wait for network policies: %w", ctx.Err())
	}
	c.mu.Lock()
	c.local[pod.Addr] = pod
	c.mu.Unlock()
	return c.sync(ctx)
}

// Forget makes a pod unknown that has left the network.
func (c *Controller) Forget(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.local, addr)
}

// errNotRunning is returned while Run has not been called.
var errNotRunning = errors.New("network policies are not followed yet")

// sync computes the policies of all pods of the node anew.
func (c *Controller) sync(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	list, err := c.policy.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list network policies: %w", err)
	}
	if len(list) > 0 && !c.watched {
		if c.stop == nil {
			return errNotRunning
		}
		c.peers.Start(c.stop)
		for kind, ok := range c.peers.WaitForCacheSync(ctx.Done()) {
			if !ok {
				return fmt.Errorf("watch peers of network policies: cache of %s did not fill", kind)
			}
		}
		c.watched = true
	}
	out := map[netip.Addr]network.PodPolicy{}
	// In one order: what has not changed must not look as if it had.
	slices.SortFunc(list, func(a, b *networkingv1.NetworkPolicy) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	if len(list) > 0 {
		s, err := c.snapshot()
		if err != nil {
			return err
		}
		for addr, pod := range c.local {
			if p := s.policyOf(pod, list); p.Ingress.Isolated || p.Egress.Isolated {
				out[addr] = p
			}
		}
	}
	if len(out) == 0 && len(c.last) == 0 || reflect.DeepEqual(out, c.last) {
		return nil
	}
	c.last = out
	c.net.SetPolicies(out)
	return nil
}
