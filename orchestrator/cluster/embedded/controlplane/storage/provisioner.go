package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"

	"github.com/gameday-bench/gameday/internal/readiness"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// DataDir is the directory of a node that holds provisioned volumes, a path of the node.
const DataDir = "/var/local-path-provisioner"

// selectedNode is the annotation of a volume that says where it is.
const selectedNode = "local.path.provisioner/selected-node"

// nodeDisks makes and removes volumes on the nodes' disks.
type nodeDisks struct {
	cluster *spec.Cluster
	nodes   corelisters.NodeLister
	volumes corelisters.PersistentVolumeLister
}

var _ controller.Provisioner = (*nodeDisks)(nil)

// Provision makes the directory of a new volume on the node that the scheduler chose or, with immediate binding, on the one
// with the fewest volumes.
func (d *nodeDisks) Provision(_ context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if o.PVC.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished, errors.New("claim.Spec.Selector is not supported")
	}
	for _, mode := range o.PVC.Spec.AccessModes {
		if mode != corev1.ReadWriteOnce && mode != corev1.ReadWriteOncePod {
			return nil, controller.ProvisioningFinished, errors.New("NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes")
		}
	}
	node, err := d.choose(o.SelectedNodeName)
	if err != nil {
		// The scheduler may know a better one; without a choice of its own the claim waits.
		if o.SelectedNodeName != "" {
			return nil, controller.ProvisioningReschedule, err
		}
		return nil, controller.ProvisioningFinished, err
	}
	dir := path.Join(DataDir, strings.Join([]string{o.PVName, o.PVC.Namespace, o.PVC.Name}, "_"))
	if err := d.onDisk(node.Name, dir, func(root *os.Root, rel string) error {
		if err := root.MkdirAll(rel, 0o777); err != nil {
			return err
		}
		return root.Chmod(rel, 0o777) // MkdirAll is subject to the umask; the image's user is not known.
	}); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("failed to create volume %v: %w", o.PVName, err)
	}
	return d.volume(o, node, dir), controller.ProvisioningFinished, nil
}

// volume is the object for a directory of a node.
func (d *nodeDisks) volume(o controller.ProvisionOptions, node *corev1.Node, dir string) *corev1.PersistentVolume {
	mode := corev1.PersistentVolumeFilesystem
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName, Annotations: map[string]string{selectedNode: node.Name}},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy, AccessModes: o.PVC.Spec.AccessModes, VolumeMode: &mode,
			MountOptions: o.StorageClass.MountOptions,
			Capacity:     corev1.ResourceList{corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				Local: &corev1.LocalVolumeSource{Path: dir},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node.Labels[corev1.LabelHostname]},
				}},
			}}}},
		},
	}
}

// Delete removes the volume's directory with all that it holds.
func (d *nodeDisks) Delete(_ context.Context, v *corev1.PersistentVolume) error {
	name := v.Annotations[selectedNode]
	if v.Spec.Local == nil || name == "" {
		return fmt.Errorf("failed to delete volume %v: it is not one of this provisioner", v.Name)
	}
	// A volume object can say anything: only what this provisioner makes is removed.
	if dir := path.Clean(v.Spec.Local.Path); path.Dir(dir) != DataDir || !strings.HasPrefix(path.Base(dir), v.Name+"_") {
		return fmt.Errorf("failed to delete volume %v: %s is not its directory", v.Name, v.Spec.Local.Path)
	}
	if _, err := d.nodes.Get(name); apierrors.IsNotFound(err) {
		return nil // Its disk went with it.
	}
	if _, err := d.choose(name); err != nil {
		return fmt.Errorf("failed to delete volume %v: %w", v.Name, err)
	}
	if err := d.onDisk(name, v.Spec.Local.Path, (*os.Root).RemoveAll); err != nil {
		return fmt.Errorf("failed to delete volume %v: %w", v.Name, err)
	}
	return nil
}

// choose returns the ready node called name or, without a name, a ready one that takes pods.
func (d *nodeDisks) choose(name string) (*corev1.Node, error) {
	if name != "" {
		node, err := d.nodes.Get(name)
		if err != nil {
			return nil, err
		}
		if !readiness.Node(node) {
			return nil, fmt.Errorf("node %s is not ready", name)
		}
		return node, nil
	}
	all, err := d.nodes.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(n *corev1.Node) bool { return n.Spec.Unschedulable || !readiness.Node(n) })
	if len(all) == 0 {
		return nil, errors.New("no node was specified")
	}
	volumes, err := d.volumes.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	holds := map[string]int{}
	for _, v := range volumes {
		holds[v.Annotations[selectedNode]]++
	}
	return slices.MinFunc(all, func(a, b *corev1.Node) int {
		if n := holds[a.Name] - holds[b.Name]; n != 0 {
			return n
		}
		return strings.Compare(a.Name, b.Name)
	}), nil
}

// onDisk runs do in the root directory of a node. No symbolic link that a container made there leads out of it. Errors name
// paths of the node.
func (d *nodeDisks) onDisk(node, dir string, do func(root *os.Root, rel string) error) error {
	if _, err := d.cluster.Node(node); err != nil {
		return err
	}
	root, err := os.OpenRoot(filepath.Join(d.cluster.NodeDir(node), "root"))
	if err != nil {
		return fmt.Errorf("open disk of node %s: %w", node, errors.Unwrap(err))
	}
	defer root.Close()
	return do(root, strings.TrimPrefix(path.Clean(dir), "/"))
}
