package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/volume"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// accounts are the books of the volumes that have a size of their own, one file per directory, out of reach of every path
// of the node. It is safe for concurrent use.
type accounts struct {
	dir string
	mu  sync.Mutex
	of  map[string]*sandbox.Account // By the volume's directory on the real host.
}

func newAccounts(dir string) *accounts { return &accounts{dir: dir, of: map[string]*sandbox.Account{}} }

func (a *accounts) file(volumeDir string) string {
	sum := sha256.Sum256([]byte(volumeDir))
	return filepath.Join(a.dir, hex.EncodeToString(sum[:16]))
}

// open returns the account of the volume in a directory, with the capacity, in bytes, that it has now. A volume that is new
// here is counted first.
func (a *accounts) open(volumeDir string, capacity int64) (*sandbox.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, ok := a.of[volumeDir]
	if !ok {
		var err error
		if account, err = sandbox.OpenAccount(a.file(volumeDir)); err != nil {
			return nil, err
		}
		if err := account.Recount(volumeDir); err != nil {
			_ = account.Close()
			return nil, err
		}
		a.of[volumeDir] = account
	}
	account.SetCapacity(capacity)
	return account, nil
}

// fileOf is the account of the volume that holds a path of the real host, "" when none does.
func (a *accounts) fileOf(path string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for dir := range a.of {
		if within(path, dir) {
			return a.file(dir)
		}
	}
	return ""
}

// forget drops the account of a directory that is no longer a volume.
func (a *accounts) forget(volumeDir string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	// The mapping stays until the process ends: a reader of the figures may still hold it.
	delete(a.of, volumeDir)
	_ = os.Remove(a.file(volumeDir))
}

// localDisks is the plugin of local volumes. The directory of a volume is one of the node's own (nodeRoot) and stands for a disk of
// the volume's capacity: what containers write to it ends there with ENOSPC.
type localDisks struct {
	volume.VolumePlugin // Upstream's, for directories; block devices do not exist on this node.

	root     nodeRoot
	accounts *accounts
}

var _ volume.NodeExpandableVolumePlugin = (*localDisks)(nil)

// disk finds a local volume's directory.
func (p *localDisks) disk(spec *volume.Spec) (string, error) {
	if spec.PersistentVolume == nil || spec.PersistentVolume.Spec.Local == nil || spec.PersistentVolume.Spec.Local.Path == "" {
		return "", fmt.Errorf("local volume source is nil or local path is not set")
	}
	path := spec.PersistentVolume.Spec.Local.Path
	onHost, err := p.root.inside(path)
	if err != nil {
		return "", err
	}
	switch info, err := os.Lstat(onHost); {
	case err != nil:
		return "", fmt.Errorf("path %q does not exist", path)
	case !info.IsDir():
		return "", fmt.Errorf("only directory and block device are supported")
	}
	return onHost, nil
}

func (p *localDisks) NewMounter(spec *volume.Spec, pod *corev1.Pod) (volume.Mounter, error) {
	onHost, err := p.disk(spec)
	if err != nil {
		return nil, err
	}
	moved := *spec
	moved.PersistentVolume = spec.PersistentVolume.DeepCopy()
	moved.PersistentVolume.Spec.Local.Path = onHost
	m, err := p.VolumePlugin.NewMounter(&moved, pod)
	if err != nil {
		return nil, p.root.named(err)
	}
	account, err := p.accounts.open(onHost, spec.PersistentVolume.Spec.Capacity.Storage().Value())
	if err != nil {
		return nil, err
	}
	return &diskMounter{Mounter: m, pod: pod, dir: onHost, root: p.root, account: account}, nil
}

// RequiresFSResize says that the volume grows on the node.
func (p *localDisks) RequiresFSResize() bool { return true }

// NodeExpand gives the volume its new capacity.
func (p *localDisks) NodeExpand(o volume.NodeResizeOptions) (bool, error) {
	onHost, err := p.disk(o.VolumeSpec)
	if err != nil {
		return false, err
	}
	_, err = p.accounts.open(onHost, o.NewSize.Value())
	return err == nil, err
}

// diskMounter is upstream's mounter of a directory, with the figures of the volume's account in place of the host's.
type diskMounter struct {
	volume.Mounter
	pod     *corev1.Pod
	dir     string
	root    nodeRoot
	account *sandbox.Account
}

// SetUp mounts the volume. Its group is set in the volume itself: upstream's would look at the mount point, which is a link here.
func (m *diskMounter) SetUp(args volume.MounterArgs) error {
	group := args.FsGroup
	args.FsGroup = nil
	if err := m.Mounter.SetUp(args); err != nil {
		return m.root.named(err)
	}
	if m.GetAttributes().ReadOnly {
		return nil
	}
	owner := volume.NewVolumeOwnership(m, m.dir, group, args.FSGroupChangePolicy, nil)
	owner.AddProgressNotifier(m.pod, args.Recorder)
	return m.root.named(owner.ChangePermissions())
}

// inodesPerByte is ext4's default: one inode for 16 KiB.
const inodesPerByte = 16 << 10

// GetMetrics counts the volume and reports it as a file system of its own.
func (m *diskMounter) GetMetrics() (*volume.Metrics, error) {
	if err := m.account.Recount(m.dir); err != nil {
		return nil, m.root.named(err)
	}
	bytes := func(n int64) *resource.Quantity { return resource.NewQuantity(n, resource.BinarySI) }
	count := func(n int64) *resource.Quantity { return resource.NewQuantity(n, resource.DecimalSI) }
	inodes, files := max(m.account.Capacity()/inodesPerByte, 1), m.account.Inodes()
	return &volume.Metrics{
		Time: metav1.NewTime(time.Now()), Capacity: bytes(m.account.Capacity()), Used: bytes(m.account.Used()), Available: bytes(m.account.Free()),
		Inodes: count(inodes), InodesUsed: count(files), InodesFree: count(max(inodes-files, 0)),
	}, nil
}
