package node

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	_ "unsafe" // For go:linkname.

	cadvisorapi "github.com/google/cadvisor/info/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	podresourcesapi "k8s.io/kubelet/pkg/apis/podresources/v1"
	"k8s.io/kubernetes/pkg/kubelet/cm/containermap"
	"k8s.io/kubernetes/pkg/kubelet/cm/devicemanager"
	"k8s.io/kubernetes/pkg/kubelet/cm/topologymanager"
	"k8s.io/kubernetes/pkg/kubelet/config"
	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/kubelet/lifecycle"
	schedulerframework "k8s.io/kubernetes/pkg/scheduler/framework"
)

// newUpstreamDevices is upstream's constructor with a socket of one's own: the exported one takes the host's /var/lib/kubelet.
//
//go:linkname newUpstreamDevices k8s.io/kubernetes/pkg/kubelet/cm/devicemanager.newManagerImpl
func newUpstreamDevices(logger klog.Logger, socket string, topology []cadvisorapi.Node, store topologymanager.Store) (*devicemanager.ManagerImpl, error)

// deviceManager is the kubelet's own device manager, on a node that has devices.
type deviceManager struct {
	*devicemanager.ManagerImpl
	admit topologymanager.Manager
	dir   string
}

// newDeviceManager makes the manager. Its socket, its checkpoint and the sockets of plugins are in a directory of their own.
func newDeviceManager(socket string) (*deviceManager, error) {
	dir := filepath.Dir(socket)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory of device plugins: %w", err)
	}
	admit, err := topologymanager.NewManager(nil, topologymanager.PolicyNone, "container", nil)
	if err != nil {
		return nil, fmt.Errorf("make topology manager: %w", err)
	}
	m, err := newUpstreamDevices(klog.Background(), socket, nil, admit)
	if err != nil {
		return nil, fmt.Errorf("make device manager: %w", err)
	}
	admit.AddHintProvider(klog.Background(), m)
	return &deviceManager{ManagerImpl: m, admit: admit, dir: dir}, nil
}

func (m *deviceManager) start(ctx context.Context, pods func() []*corev1.Pod, ready config.SourcesReady) error {
	// No container of an earlier node process runs on.
	return m.Start(klog.FromContext(ctx), pods, ready, containermap.NewContainerMap(), sets.New[string]())
}

// The methods below hand what concerns devices from the container manager to the device manager, as upstream's container manager does.

func (c *containerManager) GetDevicePluginResourceCapacity() (capacity, allocatable corev1.ResourceList, removed []string) {
	if c.devices == nil {
		return c.ContainerManager.GetDevicePluginResourceCapacity()
	}
	return c.devices.GetCapacity()
}

func (c *containerManager) GetResources(ctx context.Context, pod *corev1.Pod, container *corev1.Container) (*kubecontainer.RunContainerOptions, error) {
	out := &kubecontainer.RunContainerOptions{}
	if c.devices == nil {
		return out, nil
	}
	got, err := c.devices.GetDeviceRunContainerOptions(ctx, pod, container)
	if err != nil {
		return nil, fmt.Errorf("get devices of container: %w", err)
	}
	if got != nil {
		out.Envs, out.Annotations = got.Envs, got.Annotations
	}
	return out, nil
}

func (c *containerManager) UpdatePluginResources(node *schedulerframework.NodeInfo, attrs *lifecycle.PodAdmitAttributes) error {
	if c.devices == nil {
		return nil
	}
	return c.devices.UpdatePluginResources(node, attrs)
}

func (c *containerManager) GetAllocateResourcesPodAdmitHandler() lifecycle.PodAdmitHandler {
	if c.devices == nil {
		return c.ContainerManager.GetAllocateResourcesPodAdmitHandler()
	}
	return c.devices.admit
}

func (c *containerManager) UpdateAllocatedDevices() {
	if c.devices != nil {
		c.devices.UpdateAllocatedDevices()
	}
}

func (c *containerManager) GetDevices(podUID, container string) []*podresourcesapi.ContainerDevices {
	if c.devices == nil {
		return nil
	}
	return listDevices(c.devices.ManagerImpl.GetDevices(podUID, container))
}

func (c *containerManager) GetAllocatableDevices() []*podresourcesapi.ContainerDevices {
	if c.devices == nil {
		return nil
	}
	return listDevices(c.devices.ManagerImpl.GetAllocatableDevices())
}

func listDevices(all devicemanager.ResourceDeviceInstances) []*podresourcesapi.ContainerDevices {
	var out []*podresourcesapi.ContainerDevices
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, &podresourcesapi.ContainerDevices{ResourceName: name, DeviceIds: slices.Sorted(maps.Keys(all[name]))})
	}
	return out
}
