package controller

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// backend is one port of a Service.
type backend struct {
	namespace, service, port string
	// endpoints are the addresses of what is ready; trouble says why there is none.
	endpoints []string
	trouble   trouble
	turn      atomic.Uint32
}

// trouble is why a backend has no endpoints, in ingress-nginx's words.
type trouble string

const (
	noService  trouble = "no-service"
	noEndpoint trouble = "no-endpoint"
)

// name is what ingress-nginx calls the backend.
func (b *backend) name() string { return b.namespace + "-" + b.service + "-" + b.port }

// next returns the endpoints in the order in which one request tries them: they take turns.
func (b *backend) next() []string {
	n := len(b.endpoints)
	if n == 0 {
		return nil
	}
	i := int(b.turn.Add(1)) % n
	return slices.Concat(b.endpoints[i:], b.endpoints[:i])
}

// backend resolves the Service of a rule. It never fails: a backend without endpoints answers 503.
func (b *builder) backend(namespace string, of *networkingv1.IngressBackend) *backend {
	out := &backend{namespace: namespace, trouble: noService}
	if of.Service == nil {
		out.service = "resource"
		return out
	}
	out.service, out.port = of.Service.Name, of.Service.Port.Name
	if out.port == "" {
		out.port = strconv.Itoa(int(of.Service.Port.Number))
	}
	if known := b.backends[out.name()]; known != nil {
		return known
	}
	b.backends[out.name()] = out
	out.turn.Store(rand.Uint32())
	svc := b.service(namespace, out.service)
	if svc == nil {
		return out
	}
	out.trouble = noEndpoint
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		if of.Service.Port.Number > 0 {
			out.endpoints, out.trouble = []string{net.JoinHostPort(svc.Spec.ExternalName, out.port)}, ""
		}
		return out
	}
	i := slices.IndexFunc(svc.Spec.Ports, func(p corev1.ServicePort) bool {
		return cmp.Or(p.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP &&
			(of.Service.Port.Name != "" && p.Name == of.Service.Port.Name || of.Service.Port.Name == "" && p.Port == of.Service.Port.Number)
	})
	if i < 0 {
		return out
	}
	if out.endpoints = addresses(b.slices(namespace, out.service), svc.Spec.Ports[i].Name); len(out.endpoints) > 0 {
		out.trouble = ""
	}
	return out
}

// addresses are those of the ready endpoints for a named port of their Service.
func addresses(list []*discoveryv1.EndpointSlice, port string) []string {
	var out []string
	for _, slice := range list {
		for _, p := range slice.Ports {
			if p.Port == nil || p.Name == nil && port != "" || p.Name != nil && *p.Name != port {
				continue
			}
			for _, e := range slice.Endpoints {
				if e.Conditions.Ready != nil && !*e.Conditions.Ready {
					continue
				}
				for _, a := range e.Addresses {
					out = append(out, net.JoinHostPort(a, strconv.Itoa(int(*p.Port))))
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (b *backend) String() string { return fmt.Sprintf("%s/%s:%s", b.namespace, b.service, b.port) }
