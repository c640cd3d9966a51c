package node

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/kubernetes/pkg/volume/util/hostutil"
	"k8s.io/mount-utils"
)

// mounter remembers mounts instead of making them: a tmpfs is a plain directory, a bind mount a symbolic link in the place of
// the mount point, and programs find a volume through their mount table. So it needs no privilege. It is safe for
// concurrent use.
type mounter struct {
	// disks has the size of every tmpfs that has one.
	disks  *accounts
	mu     sync.Mutex
	points map[string]mount.MountPoint
}

var _ mount.Interface = (*mounter)(nil)

func newMounter(disks *accounts) *mounter {
	return &mounter{disks: disks, points: map[string]mount.MountPoint{}}
}

func (m *mounter) Mount(source, target, fstype string, options []string) error {
	target = filepath.Clean(target)
	if _, err := os.Stat(target); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case fstype == "" && slices.Contains(options, "bind"):
		if err := bind(source, target); err != nil {
			return err
		}
	case fstype != "tmpfs":
		return fmt.Errorf("mount %s: file system %q is not supported on this node", target, fstype)
	default:
		if err := m.limit(target, options); err != nil {
			return err
		}
	}
	m.points[target] = mount.MountPoint{Device: source, Path: target, Type: fstype, Opts: options}
	return nil
}

// bind puts a link to source in the place of the empty directory target.
func bind(source, target string) error {
	if err := os.Remove(target); err != nil {
		return fmt.Errorf("bind %s: %w", target, err)
	}
	if err := os.Symlink(source, target); err != nil {
		return fmt.Errorf("bind %s: %w", target, err)
	}
	return nil
}

// limit gives a tmpfs the size that its options say, in bytes. Only an emptyDir is written to by others than the kubelet.
func (m *mounter) limit(target string, options []string) error {
	if !strings.Contains(target, "/volumes/kubernetes.io~empty-dir/") {
		return nil
	}
	for _, o := range options {
		text, ok := strings.CutPrefix(o, "size=")
		if !ok {
			continue
		}
		size, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("mount %s: bad size %q", target, text)
		}
		if _, err := m.disks.open(target, size); err != nil {
			return err
		}
	}
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
	if link, err := os.Lstat(target); err == nil && link.Mode()&os.ModeSymlink != 0 {
		if err := os.Remove(target); err != nil {
			return fmt.Errorf("unmount %s: %w", target, err)
		}
		return os.Mkdir(target, 0o750)
	}
	if !mounted {
		return nil
	}
	m.disks.forget(target)
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

// tmpfs reports whether a path is on a tmpfs.
func (m *mounter) tmpfs(path string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for at, p := range m.points {
		if p.Type == "tmpfs" && within(path, at) {
			return true
		}
	}
	return false
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
	if link, err := os.Lstat(filepath.Clean(file)); err == nil && link.Mode()&os.ModeSymlink != 0 {
		return false, nil // Also one that an earlier run of the node made.
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
