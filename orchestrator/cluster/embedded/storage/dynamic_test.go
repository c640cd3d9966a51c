package storage

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	rwo  = corev1.ReadWriteOnce
	rwop = corev1.ReadWriteOncePod
	rwx  = corev1.ReadWriteMany
)

func TestClasses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	list, err := r.Kube.StorageV1().StorageClasses().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	got := map[string]string{}
	for _, c := range list.Items {
		if c.Provisioner == "rancher.io/local-path" {
			got[c.Name] = fmt.Sprint(*c.ReclaimPolicy, *c.VolumeBindingMode, *c.AllowVolumeExpansion, c.Annotations["storageclass.kubernetes.io/is-default-class"])
		}
	}
	require.Equal(t, map[string]string{
		"standard":        fmt.Sprint(corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingWaitForFirstConsumer, true, "true"),
		"standard-retain": fmt.Sprint(corev1.PersistentVolumeReclaimRetain, storagev1.VolumeBindingImmediate, true, "false"),
	}, got)
}

// A volume comes with its first pod, keeps its data from pod to pod, and goes with its claim but not before its pods.
func TestLifeOfAVolume(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claim("data", "", "8Mi", rwo)
	r.event("PersistentVolumeClaim", "data", "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
	r.pod("first", nil, claimed("data", "data"))
	node := r.Running("first").Spec.NodeName
	claim, v := r.bound("data")
	r.event("PersistentVolumeClaim", "data", "ExternalProvisioning", "Waiting for a volume to be created either by the external provisioner 'rancher.io/local-path' or manually by the system administrator.")
	r.event("PersistentVolumeClaim", "data", "Provisioning", fmt.Sprintf("External provisioner is provisioning volume for claim %q", r.Namespace+"/data"))
	r.event("PersistentVolumeClaim", "data", "ProvisioningSucceeded", "Successfully provisioned volume "+v.Name)
	require.Equal(t, "pvc-"+string(claim.UID), v.Name)
	require.Equal(t, "rancher.io/local-path", v.Annotations["pv.kubernetes.io/provisioned-by"])
	require.Equal(t, corev1.PersistentVolumeReclaimDelete, v.Spec.PersistentVolumeReclaimPolicy)
	require.Equal(t, []string{node}, v.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values)
	dir := filepath.Join(r.cluster.Spec().NodeDir(node), "root", v.Spec.Local.Path)
	require.DirExists(t, dir)

	r.OK("first", "echo kept > /data/file")
	require.Regexp(t, `(?m)^/dev/vdb +8\.0M +4\.0K +8\.0M +1% /data$`, r.OK("first", "df -h"))
	r.DeletePod("first")
	r.pod("second", nil, claimed("data", "data"))
	require.Equal(t, node, r.Running("second").Spec.NodeName, "the pod follows its volume")
	require.Equal(t, "kept", r.OK("second", "cat /data/file"))

	r.deleteClaim("data")
	claim, err := r.Kube.CoreV1().PersistentVolumeClaims(r.Namespace).Get(t.Context(), "data", metav1.GetOptions{})
	require.NoError(t, err)
	require.NotNil(t, claim.DeletionTimestamp)
	require.Contains(t, claim.Finalizers, "kubernetes.io/pvc-protection")
	r.pod("late", nil, claimed("data", "data"))
	r.event("Pod", "late", "FailedScheduling", `persistentvolumeclaim "data" is being deleted`)
	require.Equal(t, "kept", r.OK("second", "cat /data/file"), "it is still in use")
	r.DeletePod("second")
	r.noVolume(v.Name)
	require.NoDirExists(t, dir)
}

func TestFullVolumeAndExpansion(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claim("data", "", "1Mi", rwo)
	r.pod("app", nil, claimed("data", "data"))
	r.Running("app")
	r.Fails("app", "head -c 2097152 /dev/zero > /data/big", "o space left on device")
	require.Equal(t, "1048576 /data/big", r.OK("app", "wc -c /data/big"), "what fits is written")
	r.Fails("app", "echo more | tee /data/small", "o space left on device")
	require.Contains(t, r.OK("app", "df /data"), "100% /data")
	r.Fails("app", "cp /data/big /data/copy", "o space left on device")
	r.OK("app", "rm /data/big /data/copy")
	r.OK("app", "head -c 524288 /dev/zero > /data/big")

	patch := []byte(`{"spec":{"resources":{"requests":{"storage":"4Mi"}}}}`)
	_, err := r.Kube.CoreV1().PersistentVolumeClaims(r.Namespace).Patch(t.Context(), "data", types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(t, err)
	r.Eventually("the claim has grown", func() (bool, string) {
		c, err := r.Kube.CoreV1().PersistentVolumeClaims(r.Namespace).Get(t.Context(), "data", metav1.GetOptions{})
		return err == nil && c.Status.Capacity.Storage().Equal(resource.MustParse("4Mi")) && len(c.Status.Conditions) == 0, fmt.Sprint(c.Status, err)
	})
	r.event("PersistentVolumeClaim", "data", "Resizing", "External resizer is resizing volume pvc-")
	r.event("PersistentVolumeClaim", "data", "FileSystemResizeRequired", "Require file system resize of volume on node")
	r.event("PersistentVolumeClaim", "data", "FileSystemResizeSuccessful", "MountVolume.NodeExpandVolume succeeded for volume")
	r.OK("app", "head -c 3145728 /dev/zero > /data/more")
	require.Regexp(t, `/dev/vdb +4096 +3584 +512 +88% /data`, r.OK("app", "df /data"))
	r.Eventually("the kubelet's figures follow", func() (bool, string) {
		pod := r.Running("app")
		raw, err := r.Kube.CoreV1().RESTClient().Get().Resource("nodes").Name(pod.Spec.NodeName).SubResource("proxy").Suffix("metrics").DoRaw(t.Context())
		require.NoError(t, err)
		var seen []string
		for line := range strings.Lines(string(raw)) {
			if strings.HasPrefix(line, "kubelet_volume_stats_") && strings.Contains(line, `namespace="`+r.Namespace+`"`) {
				seen = append(seen, strings.TrimSpace(line))
			}
		}
		all := strings.Join(seen, "\n")
		id := fmt.Sprintf(`{namespace=%q,persistentvolumeclaim="data"} `, r.Namespace)
		return strings.Contains(all, "kubelet_volume_stats_capacity_bytes"+id+"4.194304e+06") && strings.Contains(all, "kubelet_volume_stats_used_bytes"+id+"3.670016e+06"), all
	})
	_, err = r.Kube.CoreV1().PersistentVolumeClaims(r.Namespace).Patch(t.Context(), "data", types.MergePatchType, []byte(`{"spec":{"resources":{"requests":{"storage":"2Mi"}}}}`), metav1.PatchOptions{})
	require.ErrorContains(t, err, "field can not be less than status.capacity")
}

// Retained volumes outlive their claim, and serve another one after an administrator has let go of the old.
func TestRetainedVolume(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claim("old", "standard-retain", "1Mi", rwo)
	_, v := r.bound("old") // No pod asks for it.
	require.Equal(t, corev1.PersistentVolumeReclaimRetain, v.Spec.PersistentVolumeReclaimPolicy)
	t.Cleanup(func() {
		require.NoError(t, r.Kube.CoreV1().PersistentVolumes().Delete(context.Background(), v.Name, metav1.DeleteOptions{}))
	})
	r.pod("writer", nil, claimed("data", "old"))
	r.Running("writer")
	r.OK("writer", "echo precious > /data/file")
	r.DeletePod("writer")
	r.deleteClaim("old")
	r.phase(v.Name, corev1.VolumeReleased)

	class := "standard-retain"
	_, err := r.Kube.CoreV1().PersistentVolumeClaims(r.Namespace).Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "new"}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{rwo}, VolumeName: v.Name, StorageClassName: &class,
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	r.event("PersistentVolumeClaim", "new", "FailedBinding", fmt.Sprintf("volume %q already bound to a different claim", v.Name))
	_, err = r.Kube.CoreV1().PersistentVolumes().Patch(t.Context(), v.Name, types.MergePatchType, []byte(`{"spec":{"claimRef":null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	r.bound("new")
	r.pod("reader", nil, claimed("data", "new"))
	r.Running("reader")
	require.Equal(t, "precious", r.OK("reader", "cat /data/file"))
}

func TestClaimsThatCannotBeServed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.claim("unknown", "fast-ssd", "1Mi", rwo)
	r.event("PersistentVolumeClaim", "unknown", "ProvisioningFailed", `storageclass.storage.k8s.io "fast-ssd" not found`)
	r.claim("many", "standard-retain", "1Mi", rwx)
	e := r.event("PersistentVolumeClaim", "many", "ProvisioningFailed", `NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes`)
	require.Equal(t, corev1.EventTypeWarning, e.Type)
	r.pod("blocked", nil, claimed("data", "unknown"))
	r.event("Pod", "blocked", "FailedScheduling", "pod has unbound immediate PersistentVolumeClaims")
	r.pod("lost", nil, claimed("data", "none"))
	r.event("Pod", "lost", "FailedScheduling", `persistentvolumeclaim "none" not found`)
}

func TestStatefulSetKeepsItsVolumes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	two, zero, grace := int32(2), int32(0), int64(1)
	labels := map[string]string{"app": "db"}
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "db"}, Spec: appsv1.StatefulSetSpec{
		Replicas: &two, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace, Containers: []corev1.Container{{
				Name: "sh", Image: "registry.local/library/busybox:1.36", Command: []string{"sh", "-c", "sleep 100000"},
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
			}},
		}},
		VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{rwo},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		}}},
	}}
	sets := r.Kube.AppsV1().StatefulSets(r.Namespace)
	_, err := sets.Create(t.Context(), set, metav1.CreateOptions{})
	require.NoError(t, err)
	scale := func(n int32) {
		_, err := sets.Patch(t.Context(), "db", types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	for i := range two {
		pod := fmt.Sprint("db-", i)
		r.Running(pod)
		r.OK(pod, "hostname > /data/me")
	}
	scale(zero)
	r.Eventually("the pods are gone", func() (bool, string) {
		list, err := r.Kube.CoreV1().Pods(r.Namespace).List(t.Context(), metav1.ListOptions{})
		return err == nil && len(list.Items) == 0, fmt.Sprint(err)
	})
	scale(two)
	for i := range two {
		pod := fmt.Sprint("db-", i)
		r.Running(pod)
		require.Equal(t, pod, r.OK(pod, "cat /data/me"))
		r.bound("data-" + pod)
	}
}

func TestGenericEphemeralVolume(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.pod("app", nil, corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{
		VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{rwo},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		}},
	}}})
	r.Running("app")
	r.OK("app", "echo x > /scratch/x")
	_, v := r.bound("app-scratch")
	r.DeletePod("app")
	r.noVolume(v.Name)
	_, err := r.Kube.CoreV1().PersistentVolumeClaims(r.Namespace).Get(t.Context(), "app-scratch", metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), err)
}
