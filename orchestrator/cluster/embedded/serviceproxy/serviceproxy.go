// Package serviceproxy is kube-proxy for the userspace network: it watches Services and EndpointSlices and tells a node's
// network which addresses stand for which endpoints.
package serviceproxy

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listerscorev1 "k8s.io/client-go/listers/core/v1"
	listersdiscoveryv1 "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
)

// Programmer is what takes the Services: *network.Network.
type Programmer interface {
	// SetServices replaces all Services.
	SetServices([]network.Service)
}

// batch is how long changes are collected before the network is programmed: an update of many endpoints is then one change.
const batch = 20 * time.Millisecond

// Run programs net with the cluster's Services until ctx ends, which is no error. It fails when the informers cannot be started.
func Run(ctx context.Context, client kubernetes.Interface, net Programmer, nodeName string, log *slog.Logger) error {
	if log == nil {
		log = slog.Default()
	}
	selector, err := selector()
	if err != nil {
		return fmt.Errorf("select services: %w", err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = selector }))
	services, slices := factory.Core().V1().Services(), factory.Discovery().V1().EndpointSlices()
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { notify() }, UpdateFunc: func(any, any) { notify() }, DeleteFunc: func(any) { notify() },
	}
	for _, informer := range []cache.SharedIndexInformer{services.Informer(), slices.Informer()} {
		if err := informer.SetTransform(strip); err != nil {
			return fmt.Errorf("strip cached objects: %w", err)
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watch services: %w", err)
		}
	}
	p := &proxy{net: net, node: nodeName, log: log, services: services.Lister(), slices: slices.Lister()}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok && ctx.Err() == nil {
			return fmt.Errorf("watch services: cache of %s did not fill", kind)
		}
	}
	notify()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		if err := p.sync(); err != nil {
			log.Error("services not programmed", "node", nodeName, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(batch):
		}
	}
}

// strip drops what is not used from cached objects.
func strip(obj any) (any, error) {
	if m, ok := obj.(metav1.Object); ok {
		m.SetManagedFields(nil)
	}
	return obj, nil
}

// selector leaves out what kube-proxy leaves out: headless Services and those that another proxy serves.
func selector() (string, error) {
	headless, err := labels.NewRequirement(corev1.IsHeadlessService, selection.DoesNotExist, nil)
	if err != nil {
		return "", err
	}
	other, err := labels.NewRequirement("service.kubernetes.io/service-proxy-name", selection.DoesNotExist, nil)
	if err != nil {
		return "", err
	}
	return labels.NewSelector().Add(*headless, *other).String(), nil
}

type proxy struct {
	net      Programmer
	node     string
	log      *slog.Logger
	services listerscorev1.ServiceLister
	slices   listersdiscoveryv1.EndpointSliceLister
}

// sync computes every Service anew.
func (p *proxy) sync() error {
	services, err := p.services.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list services: %w", err)
	}
	all, err := p.slices.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list endpoint slices: %w", err)
	}
	byService := map[string][]*discoveryv1.EndpointSlice{}
	for _, s := range all {
		if name := s.Labels[discoveryv1.LabelServiceName]; name != "" && s.AddressType == discoveryv1.AddressTypeIPv4 {
			byService[s.Namespace+"/"+name] = append(byService[s.Namespace+"/"+name], s)
		}
	}
	var out []network.Service
	for _, s := range services {
		if svc, ok := translate(s, byService[s.Namespace+"/"+s.Name]); ok {
			out = append(out, svc)
		}
	}
	slices.SortFunc(out, func(a, b network.Service) int { return cmp.Compare(a.Name, b.Name) })
	p.net.SetServices(out)
	return nil
}

// translate describes one Service; false means that it has no address to translate.
func translate(s *corev1.Service, parts []*discoveryv1.EndpointSlice) (network.Service, bool) {
	if s.Spec.Type == corev1.ServiceTypeExternalName || s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone {
		return network.Service{}, false
	}
	out := network.Service{
		Name: s.Namespace + "/" + s.Name, IPs: addresses(s),
		InternalLocal: s.Spec.InternalTrafficPolicy != nil && *s.Spec.InternalTrafficPolicy == corev1.ServiceInternalTrafficPolicyLocal,
		ExternalLocal: s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
	}
	if s.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		out.Affinity = time.Duration(corev1.DefaultClientIPServiceAffinitySeconds) * time.Second
		if c := s.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
			out.Affinity = time.Duration(*c.ClientIP.TimeoutSeconds) * time.Second
		}
	}
	for _, port := range s.Spec.Ports {
		out.Ports = append(out.Ports, network.ServicePort{
			Protocol: string(port.Protocol), Port: uint16(port.Port), NodePort: uint16(port.NodePort), Endpoints: endpoints(port.Name, port.Protocol, parts),
		})
	}
	return out, len(out.IPs) > 0
}

func addresses(s *corev1.Service) []netip.Addr {
	text := slices.Concat([]string{s.Spec.ClusterIP}, s.Spec.ClusterIPs, s.Spec.ExternalIPs)
	for _, in := range s.Status.LoadBalancer.Ingress {
		text = append(text, in.IP)
	}
	set := map[netip.Addr]bool{}
	for _, a := range text {
		if ip, err := netip.ParseAddr(a); err == nil && ip.Unmap().Is4() {
			set[ip.Unmap()] = true
		}
	}
	return slices.SortedFunc(maps.Keys(set), netip.Addr.Compare)
}

// endpoints collects the backends of one port: an EndpointSlice's port belongs to the Service's port of the same name, and holds the
// target port already resolved.
func endpoints(name string, protocol corev1.Protocol, parts []*discoveryv1.EndpointSlice) []network.Endpoint {
	set := map[netip.AddrPort]network.Endpoint{}
	for _, part := range parts {
		for _, port := range part.Ports {
			if port.Port == nil || deref(port.Name, "") != name || deref(port.Protocol, corev1.ProtocolTCP) != protocol {
				continue
			}
			for _, e := range part.Endpoints {
				if len(e.Addresses) == 0 {
					continue
				}
				ip, err := netip.ParseAddr(e.Addresses[0])
				if err != nil {
					continue
				}
				ready := deref(e.Conditions.Ready, true)
				b := network.Endpoint{
					Addr: netip.AddrPortFrom(ip, uint16(*port.Port)), Node: deref(e.NodeName, ""), Ready: ready,
					Serving: deref(e.Conditions.Serving, ready), Terminating: deref(e.Conditions.Terminating, false),
				}
				// The same address in two slices happens while one is being replaced: the better one counts.
				if old, ok := set[b.Addr]; !ok || b.Ready && !old.Ready {
					set[b.Addr] = b
				}
			}
		}
	}
	return slices.SortedFunc(maps.Values(set), func(a, b network.Endpoint) int { return a.Addr.Compare(b.Addr) })
}

func deref[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
