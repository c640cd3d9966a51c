// Package daemons leads Chaos Mesh's controllers to the chaos daemons of an embedded cluster.
//
// The controllers find daemons through Kubernetes objects of an installation that does not exist here. Reader and
// Client stand before the controllers' own and answer for those objects; DNS relays what the controllers tell the
// installation's DNS server.
package daemons

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/addons"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// Namespace is where Chaos Mesh's own objects live.
const Namespace = addons.ChaosNamespace

// Reader finds the chaos daemon of a node. The controllers look for it in the EndpointSlices of the daemon's Service;
// here there is no such Service, and the daemon is at the node's own loopback address.
type Reader struct {
	client.Reader
	Cluster *spec.Cluster
}

// List answers for the EndpointSlices of Chaos Mesh's namespace and passes everything else on.
func (d Reader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	slices, ok := list.(*discoveryv1.EndpointSliceList)
	if !ok {
		return d.Reader.List(ctx, list, opts...)
	}
	slice := discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: Namespace, Name: "chaos-daemon-nodes"},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, n := range d.Cluster.Nodes {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
			NodeName: &n.Name, Addresses: []string{n.Loopback.String()},
		})
	}
	slices.Items = []discoveryv1.EndpointSlice{slice}
	return nil
}

// DNSService is the name of the Service through which the controllers find the DNS chaos server.
const DNSService = "chaos-mesh-dns-server"

// Client shows the controllers a DNS chaos server: the relay in this process, see DNS.
type Client struct {
	client.Client
	Cluster *spec.Cluster
}

var dnsSelector = map[string]string{"app.kubernetes.io/component": "chaos-dns-server"}

// Get answers for the DNS chaos server's Service and passes everything else on.
func (d Client) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	svc, ok := obj.(*corev1.Service)
	if !ok || key.Namespace != Namespace || key.Name != DNSService {
		return d.Client.Get(ctx, key, obj, opts...)
	}
	*svc = corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		// The address goes to SetDNSServer. A node's daemon answers a pod's questions itself and asks cluster DNS
		// for what the chaos leaves alone.
		Spec: corev1.ServiceSpec{ClusterIP: d.Cluster.Network.DNS.String(), Selector: dnsSelector},
	}
	return nil
}

// List answers for the DNS chaos server's pods and passes everything else on.
func (d Client) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	pods, ok := list.(*corev1.PodList)
	if !ok {
		return d.Client.List(ctx, list, opts...)
	}
	var o client.ListOptions
	o.ApplyOptions(opts)
	selector := metav1.LabelSelector{MatchLabels: dnsSelector}
	if o.Namespace != Namespace || o.LabelSelector == nil ||
		o.LabelSelector.String() != metav1.FormatLabelSelector(&selector) {
		return d.Client.List(ctx, list, opts...)
	}
	pods.Items = []corev1.Pod{{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: DNSService},
		Status:     corev1.PodStatus{PodIP: "127.0.0.1"},
	}}
	return nil
}
