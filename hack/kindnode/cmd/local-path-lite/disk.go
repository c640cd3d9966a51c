package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// directory holds the volumes: the same path in the node and in this container.
const directory = "/var/local-path-provisioner"

const (
	// claimNode is the annotation of a claim with the node that the scheduler chose.
	claimNode = "volume.kubernetes.io/selected-node"
	// volumeNode is the annotation of a volume with the node that it is on.
	volumeNode = "local.path.provisioner/selected-node"
)

// disk makes and removes volumes of one node.
type disk struct {
	node string
	dir  string
	// open returns the nodes that take pods.
	open func(context.Context) ([]string, error)
}

var (
	_ controller.Provisioner   = (*disk)(nil)
	_ controller.Qualifier     = (*disk)(nil)
	_ controller.DeletionGuard = (*disk)(nil)
)

// ShouldProvision says whether the volume belongs on this node: the one that the scheduler chose for the claim's pod, or, for a claim that is bound
// at once, the one that all nodes agree on. A claim that waits for its pod has no such node, and the controller does not ask for its volume yet.
func (d *disk) ShouldProvision(ctx context.Context, claim *corev1.PersistentVolumeClaim) bool {
	if chosen := claim.Annotations[claimNode]; chosen != "" {
		return chosen == d.node
	}
	nodes, err := d.open(ctx)
	if err != nil {
		slog.WarnContext(ctx, "cannot tell on which node a volume belongs", "claim", claim.Namespace+"/"+claim.Name, "error", err)
		return false
	}
	return agreed(claim.UID, nodes) == d.node
}

// ShouldDelete says whether the volume is on this node.
func (d *disk) ShouldDelete(_ context.Context, volume *corev1.PersistentVolume) bool {
	return volume.Annotations[volumeNode] == d.node
}

// Provision makes the directory of a new volume.
func (d *disk) Provision(_ context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if o.PVC.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished, errors.New("claim.Spec.Selector is not supported")
	}
	single := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadWriteOncePod}
	for _, mode := range o.PVC.Spec.AccessModes {
		if !slices.Contains(single, mode) {
			return nil, controller.ProvisioningFinished, fmt.Errorf("access mode %s is not supported: a volume is on one node", mode)
		}
	}
	path := filepath.Join(d.dir, strings.Join([]string{o.PVName, o.PVC.Namespace, o.PVC.Name}, "_"))
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("make directory of volume %s: %w", o.PVName, err)
	}
	// The user of the image is not known, and the mode above is subject to the umask.
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("make directory of volume %s: %w", o.PVName, err)
	}
	return d.volume(o, path), controller.ProvisioningFinished, nil
}

// volume is the object for a directory.
func (d *disk) volume(o controller.ProvisionOptions, path string) *corev1.PersistentVolume {
	create := corev1.HostPathDirectoryOrCreate
	reclaim := corev1.PersistentVolumeReclaimDelete
	if o.StorageClass.ReclaimPolicy != nil {
		reclaim = *o.StorageClass.ReclaimPolicy
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName, Annotations: map[string]string{volumeNode: d.node}},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: reclaim,
			AccessModes:                   o.PVC.Spec.AccessModes,
			VolumeMode:                    o.PVC.Spec.VolumeMode,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &create},
			},
			// kind gives nodes their own names as host names.
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{d.node},
				}},
			}}}},
		},
	}
}

// Delete removes a volume's directory with all that it holds.
func (d *disk) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	if volume.Spec.HostPath == nil {
		return fmt.Errorf("delete volume %s: it is no directory", volume.Name)
	}
	path := filepath.Clean(volume.Spec.HostPath.Path)
	// The object of a volume can say anything: only what this program makes is removed.
	if filepath.Dir(path) != d.dir || !strings.HasPrefix(filepath.Base(path), volume.Name+"_") {
		return fmt.Errorf("delete volume %s: %s is not its directory", volume.Name, path)
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("delete volume %s: %w", volume.Name, err)
	}
	return nil
}
