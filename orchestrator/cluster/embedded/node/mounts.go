package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"k8s.io/kubernetes/pkg/volume/util/hostutil"
	"k8s.io/mount-utils"
)

// mounter remembers mounts instead of making them: a tmpfs is a plain directory, and programs find a volume through their
// mount table. So it needs no privilege. It is safe for concurrent use.
type mounter struct {
	mu     sync.Mutex
	points map[string]mount.MountPoint
}

var _ mount.Interface = (*mounter)(nil)

func newMounter() *mounter { return &mounter{points: map[string]mount.MountPoint{}} }

func (m *mounter) Mount(source, target, fstype string, options []string) error {
	target = filepath.Clean(target)
	if _, err := os.Stat(target); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	if fstype != "tmpfs" {
		return fmt.Errorf("mount %s: file system %q is not supported on this node", target, fstype)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.points[target] = mount.MountPoint{Device: source, Path: target, Type: fstype, Opts: options}
	return nil
}

func (m *mounter) MountSensitive(source, target, fstype string, options, _ []string) error {
	return m.Mount(source, target, fstype, options)
}

func (m *mounter) MountSensitiveWithoutSystemd(source, target, fstype string, options, _ []string) error {
	return m.Mount(source, target, fstype, options)
}

func (m *mounter) MountSensitiveWithoutSystemdWithMountFlags(source, target, fstype string, options, _, _ []string) error {
	return m.Mount(source, target, fstype, options)
}

// Unmount forgets the mount. The content of a tmpfs goes with it.
func (m *mounter) Unmount(target string) error {
	target = filepath.Clean(target)
	m.mu.Lock()
	_, mounted := m.points[target]
	delete(m.points, target)
	m.mu.Unlock()
	if !mounted {
		return nil
	}
	entries, err := os.ReadDir(target)
	if err != nil {
		return fmt.Errorf("unmount %s: %w", target, err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(target, e.Name())); err != nil {
			return fmt.Errorf("unmount %s: %w", target, err)
		}
	}
	return nil
}

func (m *mounter) List() ([]mount.MountPoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]mount.MountPoint, 0, len(m.points))
	for _, p := range m.points {
		out = append(out, p)
	}
	return out, nil
}

func (m *mounter) IsLikelyNotMountPoint(file string) (bool, error) {
	if _, err := os.Stat(file); err != nil {
		return true, err // The contract asks for os.ErrNotExist as it is.
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, mounted := m.points[filepath.Clean(file)]
	return !mounted, nil
}

func (m *mounter) CanSafelySkipMountPointCheck() bool { return true }

func (m *mounter) IsMountPoint(file string) (bool, error) {
	not, err := m.IsLikelyNotMountPoint(file)
	return !not && err == nil, err
}

func (m *mounter) GetMountRefs(string) ([]string, error) { return nil, nil }

// hostUtils is the host's, without what needs a mount table or SELinux.
type hostUtils struct{ hostutil.HostUtil }

func (*hostUtils) MakeRShared(string) error                      { return nil }
func (*hostUtils) DeviceOpened(string) (bool, error)             { return false, nil }
func (*hostUtils) GetSELinuxSupport(string) (bool, error)        { return false, nil }
func (*hostUtils) GetSELinuxMountContext(string) (string, error) { return "", nil }

// within reports whether path is dir or below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
}
