package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func claim(node string, modes ...corev1.PersistentVolumeAccessMode) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data", Annotations: map[string]string{claimNode: node}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: modes, Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			},
		},
	}
}

func TestVolumeComesAndGoes(t *testing.T) {
	t.Parallel()
	d := &disk{node: "kind-worker", dir: t.TempDir(), open: func(context.Context) ([]string, error) { return nil, nil }}
	c := claim("kind-worker", corev1.ReadWriteOnce)
	require.True(t, d.ShouldProvision(t.Context(), c))
	require.False(t, d.ShouldProvision(t.Context(), claim("kind-worker2")))
	require.False(t, d.ShouldProvision(t.Context(), claim("")))

	volume, state, err := d.Provision(t.Context(), controller.ProvisionOptions{PVName: "pvc-1", PVC: c, StorageClass: &storagev1.StorageClass{}})
	require.NoError(t, err)
	require.Equal(t, controller.ProvisioningFinished, state)
	path := filepath.Join(d.dir, "pvc-1_shop_data")
	require.Equal(t, path, volume.Spec.HostPath.Path)
	require.Equal(t, corev1.PersistentVolumeReclaimDelete, volume.Spec.PersistentVolumeReclaimPolicy)
	require.Equal(t, "1Gi", volume.Spec.Capacity.Storage().String())
	require.Equal(t, []string{"kind-worker"}, volume.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o777, info.Mode().Perm(), "containers of every user write to it")

	require.NoError(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	require.True(t, d.ShouldDelete(t.Context(), volume))
	require.False(t, (&disk{node: "kind-worker2"}).ShouldDelete(t.Context(), volume))
	require.NoError(t, d.Delete(t.Context(), volume))
	require.NoDirExists(t, path)
	require.NoError(t, d.Delete(t.Context(), volume), "what has gone is deleted")
}

func TestOnlyOwnDirectoriesAreRemoved(t *testing.T) {
	t.Parallel()
	d := &disk{node: "n", dir: t.TempDir()}
	for _, path := range []string{
		"/", d.dir, filepath.Join(d.dir, "other_shop_data"), filepath.Join(d.dir, "pvc-1_x", ".."), filepath.Join(d.dir, "..", "pvc-1_x"),
	} {
		volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pvc-1"}}
		volume.Spec.HostPath = &corev1.HostPathVolumeSource{Path: path}
		require.Error(t, d.Delete(t.Context(), volume), path)
	}
	require.DirExists(t, d.dir)
	require.Error(t, d.Delete(t.Context(), &corev1.PersistentVolume{}))
}

func TestUnsupportedClaims(t *testing.T) {
	t.Parallel()
	d := &disk{node: "n", dir: t.TempDir()}
	selected := claim("n", corev1.ReadWriteOnce)
	selected.Spec.Selector = &metav1.LabelSelector{}
	for _, c := range []*corev1.PersistentVolumeClaim{selected, claim("n", corev1.ReadWriteMany)} {
		_, state, err := d.Provision(t.Context(), controller.ProvisionOptions{PVName: "pvc-1", PVC: c, StorageClass: &storagev1.StorageClass{}})
		require.Error(t, err)
		require.Equal(t, controller.ProvisioningFinished, state)
	}
}
