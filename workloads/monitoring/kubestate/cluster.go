package kubestate

import (
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func collectNode(p page, o *corev1.Node) {
	l := labels{"node", o.Name}
	i := o.Status.NodeInfo
	ip := ""
	for _, a := range o.Status.Addresses {
		if a.Type == corev1.NodeInternalIP && ip == "" {
			ip = a.Address
		}
	}
	p.add("kube_node_info", l.with("kernel_version", i.KernelVersion, "os_image", i.OSImage, "container_runtime_version",
		i.ContainerRuntimeVersion, "kubelet_version", i.KubeletVersion, "pod_cidr", o.Spec.PodCIDR, "internal_ip", ip), 1)
	p.moment("kube_node_created", l, &o.CreationTimestamp)
	p.flag("kube_node_spec_unschedulable", l, o.Spec.Unschedulable)
	for _, t := range o.Spec.Taints {
		p.add("kube_node_spec_taint", l.with("key", t.Key, "value", t.Value, "effect", string(t.Effect)), 1)
	}
	for _, c := range o.Status.Conditions {
		p.condition("kube_node_status_condition", l, string(c.Type), c.Status)
	}
	p.resources("kube_node_status_capacity", l, o.Status.Capacity)
	p.resources("kube_node_status_allocatable", l, o.Status.Allocatable)
}

func collectService(p page, o *corev1.Service) {
	l := labels{"namespace", o.Namespace, "service", o.Name, "uid", string(o.UID)}
	p.add("kube_service_info", l.with("cluster_ip", o.Spec.ClusterIP, "external_name", o.Spec.ExternalName), 1)
	p.add("kube_service_spec_type", l.with("type", string(o.Spec.Type)), 1)
	p.moment("kube_service_created", l, &o.CreationTimestamp)
}

// collectSlice shows the addresses behind a Service under the names that kube-state-metrics gives to Endpoints: those
// objects are deprecated, and slices hold the same.
func collectSlice(p page, o *discoveryv1.EndpointSlice) {
	service := o.Labels[discoveryv1.LabelServiceName]
	if service == "" {
		return
	}
	l := labels{"namespace", o.Namespace, "endpoint", service}
	for _, port := range o.Ports {
		name, number, protocol := "", "", ""
		if port.Name != nil {
			name = *port.Name
		}
		if port.Port != nil {
			number = strconv.Itoa(int(*port.Port))
		}
		if port.Protocol != nil {
			protocol = string(*port.Protocol)
		}
		p.add("kube_endpoint_ports", l.with("port_name", name, "port_protocol", protocol, "port_number", number), 1)
	}
	for _, e := range o.Endpoints {
		ready := "false"
		if e.Conditions.Ready == nil || *e.Conditions.Ready {
			ready = "true"
		}
		for _, a := range e.Addresses {
			p.add("kube_endpoint_address", l.with("ip", a, "ready", ready), 1)
		}
	}
}

func collectNamespace(p page, o *corev1.Namespace) {
	p.set("kube_namespace_status_phase", labels{"namespace", o.Name}, "phase", string(o.Status.Phase), "Active", "Terminating")
}

func collectClaim(p page, o *corev1.PersistentVolumeClaim) {
	l := labels{"namespace", o.Namespace, "persistentvolumeclaim", o.Name}
	class := ""
	if o.Spec.StorageClassName != nil {
		class = *o.Spec.StorageClassName
	}
	p.add("kube_persistentvolumeclaim_info", l.with("storageclass", class, "volumename", o.Spec.VolumeName), 1)
	p.set("kube_persistentvolumeclaim_status_phase", l, "phase", string(o.Status.Phase), "Lost", "Bound", "Pending")
	if q, ok := o.Spec.Resources.Requests[corev1.ResourceStorage]; ok {
		p.add("kube_persistentvolumeclaim_resource_requests_storage_bytes", l, float64(q.Value()))
	}
}

func collectQuota(p page, o *corev1.ResourceQuota) {
	l := labels{"namespace", o.Namespace, "resourcequota", o.Name}
	for _, v := range []struct {
		kind string
		list corev1.ResourceList
	}{{"hard", o.Status.Hard}, {"used", o.Status.Used}} {
		for _, resource := range slices.Sorted(maps.Keys(v.list)) {
			q := v.list[resource]
			p.add("kube_resourcequota", l.with("resource", string(resource), "type", v.kind), q.AsApproximateFloat64())
		}
	}
}
