package node

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kubernetes/pkg/kubelet/config"
	"k8s.io/kubernetes/pkg/kubelet/lifecycle"
)

// TestDevices runs upstream's device manager with a plugin, over their sockets.
func TestDevices(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "d", "kubelet.sock")
	m, err := newDeviceManager(socket)
	require.NoError(t, err)
	ready := config.NewSourcesReady(func(sets.Set[string]) bool { return true })
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "u"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{
		Name: "c", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("2")}},
	}}}}
	require.NoError(t, m.start(t.Context(), func() []*corev1.Pod { return []*corev1.Pod{pod} }, ready))
	plugins, err := startDevicePlugins(t.Context(), socket, map[string]int{"nvidia.com/gpu": 3, "my-vendor.com/fpga": 1})
	require.NoError(t, err)
	c := newContainerManager(&machine{name: "n"}, dir, m)
	offers := func(total, healthy int64) {
		require.Eventually(t, func() bool {
			capacity, allocatable, _ := c.GetDevicePluginResourceCapacity()
			all, good := capacity["nvidia.com/gpu"], allocatable["nvidia.com/gpu"]
			return all.Value() == total && good.Value() == healthy
		}, time.Minute, 5*time.Millisecond)
	}
	offers(3, 3)
	require.NoError(t, plugins.setHealth("nvidia.com/gpu", "gpu-1", "Unhealthy"))
	offers(3, 2)
	require.True(t, c.GetAllocateResourcesPodAdmitHandler().Admit(&lifecycle.PodAdmitAttributes{Pod: pod}).Admit)
	opts, err := c.GetResources(t.Context(), pod, &pod.Spec.Containers[0])
	require.NoError(t, err)
	require.Len(t, opts.Envs, 1)
	require.Equal(t, "NVIDIA_VISIBLE_DEVICES", opts.Envs[0].Name)
	require.Equal(t, "gpu-0,gpu-2", opts.Envs[0].Value)
	require.Equal(t, "MY_VENDOR_VISIBLE_DEVICES", plugins["my-vendor.com/fpga"].variable)
	more := pod.DeepCopy()
	more.UID = "v"
	require.False(t, c.GetAllocateResourcesPodAdmitHandler().Admit(&lifecycle.PodAdmitAttributes{Pod: more}).Admit, "two are given out, one is sick")
	require.NoError(t, plugins.setHealth("nvidia.com/gpu", "", "Healthy"))
	offers(3, 3)
	require.EqualError(t, plugins.setHealth("nvidia.com/gpu", "gpu-3", "Healthy"), `set health of nvidia.com/gpu: the node has no device "gpu-3"`)
	require.EqualError(t, plugins.setHealth("a.b/c", "", "Healthy"), "set health of a.b/c: the node has no such resource")
	require.EqualError(t, plugins.setHealth("nvidia.com/gpu", "", "ill"), `set health of nvidia.com/gpu : unknown health "ill"`)
}
