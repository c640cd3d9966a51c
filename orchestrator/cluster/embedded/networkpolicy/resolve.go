package networkpolicy

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/network"
)

// snapshot is the cluster as policies see it, while they are computed.
type snapshot struct {
	pods   []peer
	byName map[string]*corev1.Pod // by namespace/name.
	// selected are the pods that a rule's peers select. A list of peers belongs to one rule, so its first element stands for it.
	selected map[*networkingv1.NetworkPolicyPeer][]peer
}

// peer is a pod with an address of its own.
type peer struct {
	addr  netip.Addr
	pod   *corev1.Pod
	space labels.Set // its namespace's labels.
}

func (c *Controller) snapshot() (*snapshot, error) {
	spaces, err := c.spaces.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	bySpace := map[string]labels.Set{}
	for _, ns := range spaces {
		bySpace[ns.Name] = ns.Labels
	}
	pods, err := c.pods.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	s := &snapshot{byName: map[string]*corev1.Pod{}, selected: map[*networkingv1.NetworkPolicyPeer][]peer{}}
	for _, p := range pods {
		s.byName[p.Namespace+"/"+p.Name] = p
		if p.Spec.HostNetwork || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue // Its address is the node's, or another pod's by now.
		}
		for _, ip := range p.Status.PodIPs {
			if addr, err := netip.ParseAddr(ip.IP); err == nil && addr.Is4() {
				s.pods = append(s.pods, peer{addr, p, bySpace[p.Namespace]})
			}
		}
	}
	slices.SortFunc(s.pods, func(a, b peer) int { return a.addr.Compare(b.addr) })
	return s, nil
}

// policyOf joins what all policies say about a pod: what one of them allows is allowed.
func (s *snapshot) policyOf(pod Pod, list []*networkingv1.NetworkPolicy) network.PodPolicy {
	set, known := labels.Set(pod.Labels), s.byName[pod.Namespace+"/"+pod.Name]
	if known != nil {
		set = known.Labels
	}
	var out network.PodPolicy
	for _, p := range list {
		if p.Namespace != pod.Namespace || !selects(&p.Spec.PodSelector, set) {
			continue
		}
		ingress, egress := directions(p)
		if ingress {
			out.Ingress.Isolated = true
			for i := range p.Spec.Ingress {
				rule := &p.Spec.Ingress[i]
				if r, ok := s.ingressRule(p.Namespace, known, rule); ok {
					out.Ingress.Allow = append(out.Ingress.Allow, r)
				}
			}
		}
		if egress {
			out.Egress.Isolated = true
			for i := range p.Spec.Egress {
				out.Egress.Allow = append(out.Egress.Allow, s.egressRules(p.Namespace, &p.Spec.Egress[i])...)
			}
		}
	}
	return out
}

// directions says in which directions a policy isolates. The API server fills in policyTypes; objects that were made past it get its default.
func directions(p *networkingv1.NetworkPolicy) (ingress, egress bool) {
	if len(p.Spec.PolicyTypes) == 0 {
		return true, len(p.Spec.Egress) > 0
	}
	return slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress), slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
}

// selects says whether a selector holds; the API server lets no invalid one in.
func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(set)
}

// ingressRule resolves a rule for connections to a pod: named ports are the pod's own. False means that it allows nothing.
func (s *snapshot) ingressRule(namespace string, pod *corev1.Pod, rule *networkingv1.NetworkPolicyIngressRule) (network.PolicyRule, bool) {
	out := s.peers(namespace, rule.From)
	for i := range rule.Ports {
		if port, named := portRange(&rule.Ports[i]); !named {
			out.Ports = append(out.Ports, port)
		} else if number := namedPort(pod, &rule.Ports[i]); number != 0 {
			port.First, port.Last = number, number
			out.Ports = append(out.Ports, port)
		}
	}
	return out, len(rule.Ports) == 0 || len(out.Ports) > 0
}

// egressRules resolves a rule for connections from a pod. A named port is another number at each peer, so each number becomes a rule.
func (s *snapshot) egressRules(namespace string, rule *networkingv1.NetworkPolicyEgressRule) []network.PolicyRule {
	out := s.peers(namespace, rule.To)
	var rules []network.PolicyRule
	for i := range rule.Ports {
		port, named := portRange(&rule.Ports[i])
		if !named {
			out.Ports = append(out.Ports, port)
			continue
		}
		candidates := s.pods
		if !out.AnyPeer {
			candidates = s.podsOf(namespace, rule.To)
		}
		byNumber := map[uint16][]network.PolicyPeer{}
		for _, p := range candidates {
			if number := namedPort(p.pod, &rule.Ports[i]); number != 0 {
				byNumber[number] = append(byNumber[number], host(p.addr))
			}
		}
		for _, number := range slices.Sorted(maps.Keys(byNumber)) {
			port.First, port.Last = number, number
			rules = append(rules, network.PolicyRule{Peers: byNumber[number], Ports: []network.PolicyPort{port}})
		}
	}
	if len(rule.Ports) == 0 || len(out.Ports) > 0 {
		rules = append(rules, out)
	}
	return rules
}

// peers resolves a rule's peers; none means anybody.
func (s *snapshot) peers(namespace string, list []networkingv1.NetworkPolicyPeer) network.PolicyRule {
	out := network.PolicyRule{AnyPeer: len(list) == 0}
	for i := range list {
		b := list[i].IPBlock
		if b == nil {
			continue
		}
		prefix, err := netip.ParsePrefix(b.CIDR)
		if err != nil {
			continue // The API server lets no such block in.
		}
		block := network.PolicyPeer{Net: prefix.Masked()}
		for _, e := range b.Except {
			if except, err := netip.ParsePrefix(e); err == nil {
				block.Except = append(block.Except, except.Masked())
			}
		}
		out.Peers = append(out.Peers, block)
	}
	for _, p := range s.podsOf(namespace, list) {
		out.Peers = append(out.Peers, host(p.addr))
	}
	return out
}

func host(a netip.Addr) network.PolicyPeer {
	return network.PolicyPeer{Net: netip.PrefixFrom(a, a.BitLen())}
}

// podsOf returns the pods that a rule's peers select.
func (s *snapshot) podsOf(namespace string, list []networkingv1.NetworkPolicyPeer) []peer {
	if len(list) == 0 {
		return nil
	}
	if known, ok := s.selected[&list[0]]; ok {
		return known
	}
	var out []peer
	for _, p := range s.pods {
		if slices.ContainsFunc(list, func(n networkingv1.NetworkPolicyPeer) bool { return n.IPBlock == nil && p.matches(namespace, &n) }) {
			out = append(out, p)
		}
	}
	s.selected[&list[0]] = out
	return out
}

// matches says whether a peer of a policy in a namespace selects the pod.
func (p *peer) matches(namespace string, n *networkingv1.NetworkPolicyPeer) bool {
	switch {
	case n.NamespaceSelector == nil && p.pod.Namespace != namespace:
		return false
	case n.NamespaceSelector != nil && !selects(n.NamespaceSelector, p.space):
		return false
	}
	return n.PodSelector == nil || selects(n.PodSelector, p.pod.Labels)
}

// portRange reads a port of a policy; named is true for one that depends on the pod.
func portRange(p *networkingv1.NetworkPolicyPort) (port network.PolicyPort, named bool) {
	port.Protocol = string(protocolOf(p))
	switch {
	case p.Port == nil:
		port.Last = math.MaxUint16
	case p.Port.Type == intstr.String:
		return port, true
	default:
		port.First, port.Last = uint16(p.Port.IntVal), uint16(p.Port.IntVal)
		if p.EndPort != nil {
			port.Last = uint16(*p.EndPort)
		}
	}
	return port, false
}

func protocolOf(p *networkingv1.NetworkPolicyPort) corev1.Protocol {
	if p.Protocol == nil {
		return corev1.ProtocolTCP
	}
	return *p.Protocol
}

// namedPort finds the number of a named port; 0 when the pod has none of that name and protocol.
func namedPort(pod *corev1.Pod, p *networkingv1.NetworkPolicyPort) uint16 {
	if pod == nil {
		return 0
	}
	for _, c := range pod.Spec.Containers {
		for _, port := range c.Ports {
			if port.Name == p.Port.StrVal && (port.Protocol == protocolOf(p) || port.Protocol == "" && protocolOf(p) == corev1.ProtocolTCP) {
				return uint16(port.ContainerPort)
			}
		}
	}
	return 0
}
