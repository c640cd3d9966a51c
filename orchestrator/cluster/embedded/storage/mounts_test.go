package storage

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMountOptions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claim("data", "", "1Mi", rwo)
	size := resource.MustParse("64Ki")
	group := int64(2000)
	ro := claimed("ro", "data")
	ro.PersistentVolumeClaim.ReadOnly = true
	r.pod("app", func(s *corev1.PodSpec) {
		s.SecurityContext = &corev1.PodSecurityContext{FSGroup: &group}
		s.Containers[0].VolumeMounts = append(s.Containers[0].VolumeMounts,
			corev1.VolumeMount{Name: "data", MountPath: "/sub", SubPath: "a/b"},
			corev1.VolumeMount{Name: "data", MountPath: "/look", ReadOnly: true})
	}, claimed("data", "data"), corev1.Volume{Name: "memory", VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: &size},
	}})
	node := r.Running("app").Spec.NodeName
	r.OK("app", "echo x > /sub/file")
	require.Equal(t, "x", r.OK("app", "cat /data/a/b/file"))
	require.Equal(t, "x", r.OK("app", "cat /look/a/b/file"))
	r.Fails("app", "echo x > /look/new", "ead-only file system")
	r.Fails("app", "head -c 2097152 /dev/zero > /sub/big", "o space left on device")
	require.Contains(t, r.OK("app", "df /sub"), "100% /sub", "it is the same volume")
	r.Fails("app", "head -c 100000 /dev/zero > /memory/big", "o space left on device")
	require.Equal(t, "65536 /memory/big", r.OK("app", "wc -c /memory/big"))

	_, v := r.bound("data")
	if os.Getuid() == 0 { // Otherwise the kubelet may not give files away, and says so in its log only.
		info, err := os.Stat(filepath.Join(r.cluster.Spec().NodeDir(node), "root", v.Spec.Local.Path))
		require.NoError(t, err)
		require.NotZero(t, info.Mode()&os.ModeSetgid)
		require.EqualValues(t, group, groupOf(info))
	}
	r.DeletePod("app")
	r.pod("reader", nil, ro)
	r.Running("reader")
	require.Equal(t, "x", r.OK("reader", "cat /ro/a/b/file"))
	r.Fails("reader", "rm /ro/a/b/file", "ead-only file system")
}

// What has no size of its own ends in an eviction, as elsewhere.
func TestEvictionForLocalStorage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	size := resource.MustParse("1Mi")
	r.pod("cache", nil, corev1.Volume{Name: "cache", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}}})
	r.Running("cache")
	r.OK("cache", "head -c 2097152 /dev/zero > /cache/big")
	r.event("Pod", "cache", "Evicted", `Usage of EmptyDir volume "cache" exceeds the limit "1Mi". `)
	r.pod("layer", func(s *corev1.PodSpec) {
		s.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: size}
	})
	r.Running("layer")
	r.OK("layer", "head -c 2097152 /dev/zero > /tmp/big")
	r.event("Pod", "layer", "Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ")
}

// A path of the host is one of the node's own directory tree, whatever leads to it.
func TestHostPathsEndAtTheNode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("the host's"), 0o600))
	outside := filepath.Dir(secret)
	place := "/srv/" + r.Namespace
	r.pod("attacker", on("node-1"), hostPath("host", "/", corev1.HostPathDirectory), hostPath("place", place, corev1.HostPathDirectoryOrCreate))
	r.Running("attacker")
	out, _ := r.Sh("attacker", "ls -a /host /host/.. /host/../.. /host/proc /host/root 2>&1")
	require.NotContains(t, out, "work", "neither the host's root")
	require.NotContains(t, out, "kubelet", "nor the node's own directory")
	r.Fails("attacker", "cat /host/../../kubelet/cpu_manager_state", "o such file")
	r.OK("attacker", "ln -s "+outside+" /place/absolute; ln -s / /place/root; ln -s ../../../../../../../../../../.."+outside+" /place/relative")
	for _, link := range []string{"absolute", "relative", "root" + outside} {
		r.Fails("attacker", "cat /place/"+link+"/secret", "o such file")
	}
	for name, path := range map[string]string{
		"absolute": place + "/absolute", "relative": place + "/relative", "rooted": place + "/root" + outside, "plain": outside,
	} {
		r.pod(name, on("node-1"), hostPath("host", path, corev1.HostPathDirectoryOrCreate))
	}
	for _, name := range []string{"absolute", "relative", "rooted", "plain"} {
		r.Running(name)
		r.Fails(name, "cat /host/secret", "o such file")
		r.OK(name, "echo mine > /host/new-"+name)
	}
	_, err := r.Kube.CoreV1().Pods(r.Namespace).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "dots"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "sh", Image: "registry.local/library/busybox:1.36"}},
		Volumes:    []corev1.Volume{hostPath("host", "/../../../.."+outside, corev1.HostPathUnset)},
	}}, metav1.CreateOptions{})
	require.ErrorContains(t, err, "must not contain '..'")
	left, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing was written outside")
	r.pod("typed", on("node-1"), hostPath("host", "/etc/passwd", corev1.HostPathFile))
	r.event("Pod", "typed", "FailedMount", `hostPath type check failed: /etc/passwd is not a file`)
}

// Upstream's deleter of hostPath volumes removes directories below /tmp, of the machine that it runs on.
func TestDeletedHostPathVolumeIsNotTheHosts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dir := filepath.Join(os.TempDir(), r.Namespace)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	bindAndDelete := func(name, path string) {
		_, err := r.Kube.CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: corev1.PersistentVolumeSpec{
				Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}, AccessModes: []corev1.PersistentVolumeAccessMode{rwo},
				StorageClassName: name, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
				PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}},
			},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		r.claim(name, name, "1Mi", rwo)
		r.bound(name)
		r.deleteClaim(name)
	}
	bindAndDelete(r.Namespace+"-gone", dir)
	r.noVolume(r.Namespace + "-gone")
	require.DirExists(t, dir)
	bindAndDelete(r.Namespace+"-kept", "/data")
	r.phase(r.Namespace+"-kept", corev1.VolumeFailed)
	r.event("PersistentVolume", r.Namespace+"-kept", "VolumeFailedDelete", "host_path deleter only supports /tmp/.+ but received provided /data")
	require.NoError(t, r.Kube.CoreV1().PersistentVolumes().Delete(context.Background(), r.Namespace+"-kept", metav1.DeleteOptions{}))
}
