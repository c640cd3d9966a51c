package node

import (
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/utils/ptr"
)

// podGroups are the control groups of pods. The runtime holds each container to its limits and keeps nothing for a pod as a whole, so that a pod's group has at
// any time what the pod asks for. The kubelet needs to know it when containers are resized in place.
type podGroups struct{ cm.PodContainerManager }

// NewPodContainerManager returns what the kubelet asks about the pods' groups.
func (c *containerManager) NewPodContainerManager() cm.PodContainerManager {
	return podGroups{c.ContainerManager.NewPodContainerManager()}
}

// GetPodCgroupConfig returns what a pod's group has. No field is nil: what has no limit has the highest, or -1 where the kernel says so.
func (podGroups) GetPodCgroupConfig(pod *corev1.Pod, _ corev1.ResourceName) (*cm.ResourceConfig, error) {
	config := cm.ResourceConfigForPod(pod, true, cm.QuotaPeriod, false)
	if config == nil {
		return nil, fmt.Errorf("read the resources of pod %s/%s: it has none", pod.Namespace, pod.Name)
	}
	if config.Memory == nil {
		config.Memory = ptr.To[int64](math.MaxInt64)
	}
	if config.CPUQuota == nil {
		config.CPUQuota = ptr.To[int64](-1)
	}
	return config, nil
}

// SetPodCgroupConfig has nothing to do.
func (podGroups) SetPodCgroupConfig(klog.Logger, *corev1.Pod, *cm.ResourceConfig) error { return nil }
