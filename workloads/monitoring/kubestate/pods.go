package kubestate

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func collectPod(p page, o *corev1.Pod) {
	l := labels{"namespace", o.Namespace, "pod", o.Name, "uid", string(o.UID)}
	kind, name := "", ""
	if c := metav1.GetControllerOf(o); c != nil {
		kind, name = c.Kind, c.Name
	}
	network := "false"
	if o.Spec.HostNetwork {
		network = "true"
	}
	p.add("kube_pod_info", l.with("host_ip", o.Status.HostIP, "pod_ip", o.Status.PodIP, "node", o.Spec.NodeName,
		"created_by_kind", kind, "created_by_name", name, "priority_class", o.Spec.PriorityClassName, "host_network", network), 1)
	p.owner("kube_pod_owner", l, o.OwnerReferences)
	p.moment("kube_pod_created", l, &o.CreationTimestamp)
	p.moment("kube_pod_start_time", l, o.Status.StartTime)
	p.moment("kube_pod_deletion_timestamp", l, o.DeletionTimestamp)
	phase := string(o.Status.Phase)
	if o.DeletionTimestamp != nil && o.Status.Reason == "NodeLost" {
		phase = string(corev1.PodUnknown)
	}
	p.set("kube_pod_status_phase", l, "phase", phase, "Pending", "Succeeded", "Failed", "Running", "Unknown")
	if o.Status.Reason != "" {
		p.add("kube_pod_status_reason", l.with("reason", o.Status.Reason), 1)
	}
	for _, c := range o.Status.Conditions {
		status := conditionValue(c.Status)
		switch c.Type {
		case corev1.PodReady:
			p.set("kube_pod_status_ready", l, "condition", status, "true", "false", "unknown")
		case corev1.PodScheduled:
			p.set("kube_pod_status_scheduled", l, "condition", status, "true", "false", "unknown")
			if c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
				p.add("kube_pod_status_unschedulable", l, 1)
			}
		}
	}
	for _, c := range o.Spec.Containers {
		r := l.with("container", c.Name, "node", o.Spec.NodeName)
		p.resources("kube_pod_container_resource_requests", r, c.Resources.Requests)
		p.resources("kube_pod_container_resource_limits", r, c.Resources.Limits)
	}
	specImages := map[string]string{}
	for _, c := range append(o.Spec.InitContainers[:len(o.Spec.InitContainers):len(o.Spec.InitContainers)], o.Spec.Containers...) {
		specImages[c.Name] = c.Image
	}
	for _, s := range o.Status.ContainerStatuses {
		collectContainer(p, "kube_pod_container", l.with("container", s.Name), s, specImages[s.Name])
	}
	for _, s := range o.Status.InitContainerStatuses {
		collectContainer(p, "kube_pod_init_container", l.with("container", s.Name), s, specImages[s.Name])
	}
}

func conditionValue(s corev1.ConditionStatus) string {
	switch s {
	case corev1.ConditionTrue:
		return "true"
	case corev1.ConditionFalse:
		return "false"
	}
	return "unknown"
}

// collectContainer adds what is known about one container; prefix tells ordinary from init containers.
func collectContainer(p page, prefix string, l labels, s corev1.ContainerStatus, image string) {
	p.add(prefix+"_info", l.with("image_spec", image, "image", s.Image, "image_id", s.ImageID, "container_id", s.ContainerID), 1)
	p.flag(prefix+"_status_running", l, s.State.Running != nil)
	p.flag(prefix+"_status_waiting", l, s.State.Waiting != nil)
	p.flag(prefix+"_status_terminated", l, s.State.Terminated != nil)
	p.flag(prefix+"_status_ready", l, s.Ready)
	p.add(prefix+"_status_restarts_total", l, float64(s.RestartCount))
	if w := s.State.Waiting; w != nil {
		p.add(prefix+"_status_waiting_reason", l.with("reason", w.Reason), 1)
	}
	if t := s.State.Terminated; t != nil {
		p.add(prefix+"_status_terminated_reason", l.with("reason", t.Reason), 1)
	}
	if t := s.LastTerminationState.Terminated; t != nil {
		p.add(prefix+"_status_last_terminated_reason", l.with("reason", t.Reason), 1)
		p.add(prefix+"_status_last_terminated_exitcode", l, float64(t.ExitCode))
		p.moment(prefix+"_status_last_terminated_timestamp", l, &t.FinishedAt)
	}
	if r := s.State.Running; r != nil {
		p.moment(prefix+"_state_started", l, &r.StartedAt)
	}
}
