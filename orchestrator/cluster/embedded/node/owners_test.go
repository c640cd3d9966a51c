package node

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/ptr"
)

// TestOwners: an unprivileged kubelet sees no user that is not root, and the runtime sees them all.
func TestOwners(t *testing.T) {
	o := &owners{}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}, Spec: corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{FSGroup: ptr.To[int64](2000), RunAsUser: ptr.To[int64](3000), RunAsNonRoot: ptr.To(true)},
		Containers: []corev1.Container{
			{Name: "own", SecurityContext: &corev1.SecurityContext{RunAsUser: ptr.To[int64](1000)}},
			{Name: "root", SecurityContext: &corev1.SecurityContext{RunAsUser: ptr.To[int64](0)}},
			{Name: "pods"},
		},
	}}
	plain := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "plain"}}
	got := o.take([]*corev1.Pod{pod, plain})
	require.Same(t, plain, got[1])
	require.NotNil(t, pod.Spec.SecurityContext.FSGroup, "the original is not changed")
	spec := got[0].Spec
	require.Nil(t, spec.SecurityContext.FSGroup)
	require.Nil(t, spec.SecurityContext.RunAsUser)
	require.Nil(t, spec.Containers[0].SecurityContext.RunAsUser)
	require.False(t, *spec.Containers[0].SecurityContext.RunAsNonRoot, "it is held elsewhere")
	require.Zero(t, *spec.Containers[1].SecurityContext.RunAsUser)
	require.Nil(t, spec.Containers[1].SecurityContext.RunAsNonRoot, "root stays root, so that runAsNonRoot of the pod refuses it")
	require.False(t, *spec.Containers[2].SecurityContext.RunAsNonRoot)
	for name, want := range map[string]*runtimeapi.Int64Value{"own": {Value: 1000}, "root": nil, "pods": {Value: 3000}} {
		config := &runtimeapi.ContainerConfig{
			Metadata: &runtimeapi.ContainerMetadata{Name: name},
			Linux:    &runtimeapi.LinuxContainerConfig{SecurityContext: &runtimeapi.LinuxContainerSecurityContext{SupplementalGroups: []int64{7}}},
		}
		o.restore(config, "u")
		require.Equal(t, want.GetValue(), config.Linux.SecurityContext.RunAsUser.GetValue(), name)
		require.Equal(t, []int64{7, 2000}, config.Linux.SecurityContext.SupplementalGroups)
		o.restore(config, "plain")
		require.Len(t, config.Linux.SecurityContext.SupplementalGroups, 2)
	}
	require.Same(t, pod, (&owners{privileged: true}).take([]*corev1.Pod{pod})[0])
}
