package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/volume"
)

// nodeRoot is the root directory of the node: every path that a pod or a volume gives as the host's is looked up in it, as
// in a chroot. Neither ".." nor symbolic links lead out, whatever containers put below it.
type nodeRoot string

// inside returns the path on the real host of a path of the node, free of symbolic links. It need not exist.
func (r nodeRoot) inside(path string) (string, error) {
	onHost, err := securejoin.SecureJoin(string(r), filepath.Join("/", path))
	if err != nil {
		return "", fmt.Errorf("resolve path %s of the node: %w", path, r.named(err))
	}
	return onHost, nil
}

// make makes a directory or an empty file of the node and what it lies in. os.Root keeps a link that somebody puts there
// meanwhile from being followed.
func (r nodeRoot) make(onHost string, directory bool) error {
	root, err := os.OpenRoot(string(r))
	if err != nil {
		return r.named(err)
	}
	defer root.Close()
	rel, err := filepath.Rel(string(r), onHost)
	if err != nil {
		return err
	}
	if directory {
		return r.named(root.MkdirAll(rel, 0o755))
	}
	// The parent of a FileOrCreate has to exist.
	f, err := root.OpenFile(rel, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return r.named(err)
	}
	return f.Close()
}

// named takes the node's place on the real host out of an error: messages show paths of the node.
func (r nodeRoot) named(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), string(r)+"/", "/")
	if text = strings.ReplaceAll(text, string(r), "/"); text == err.Error() {
		return err
	}
	return errors.New(text)
}

// nodePath is the hostPath plugin with its paths below the node's own root directory.
type nodePath struct {
	volume.VolumePlugin
	root nodeRoot
}

func (p *nodePath) NewMounter(spec *volume.Spec, pod *corev1.Pod) (volume.Mounter, error) {
	moved, err := p.below(spec)
	if err != nil {
		return nil, err
	}
	m, err := p.VolumePlugin.NewMounter(moved, pod)
	if err != nil {
		return nil, p.root.named(err)
	}
	return &nodePathMounter{Mounter: m, root: p.root, kind: hostPathOf(moved).Type}, nil
}

func hostPathOf(spec *volume.Spec) *corev1.HostPathVolumeSource {
	switch {
	case spec.Volume != nil && spec.Volume.HostPath != nil:
		return spec.Volume.HostPath
	case spec.PersistentVolume != nil && spec.PersistentVolume.Spec.HostPath != nil:
		return spec.PersistentVolume.Spec.HostPath
	}
	return &corev1.HostPathVolumeSource{}
}

// below returns spec with its path moved below the node's root.
func (p *nodePath) below(spec *volume.Spec) (*volume.Spec, error) {
	onHost, err := p.root.inside(hostPathOf(spec).Path)
	if err != nil {
		return nil, err
	}
	moved := *spec
	switch {
	case spec.Volume != nil && spec.Volume.HostPath != nil:
		moved.Volume = spec.Volume.DeepCopy()
		moved.Volume.HostPath.Path = onHost
	case spec.PersistentVolume != nil && spec.PersistentVolume.Spec.HostPath != nil:
		moved.PersistentVolume = spec.PersistentVolume.DeepCopy()
		moved.PersistentVolume.Spec.HostPath.Path = onHost
	}
	return &moved, nil
}

// nodePathMounter makes what the volume's type asks to be made, before upstream's mounter looks at it.
type nodePathMounter struct {
	volume.Mounter
	root nodeRoot
	kind *corev1.HostPathType
}

func (m *nodePathMounter) SetUp(args volume.MounterArgs) error {
	if m.kind != nil && (*m.kind == corev1.HostPathDirectoryOrCreate || *m.kind == corev1.HostPathFileOrCreate) {
		if _, err := os.Lstat(m.GetPath()); errors.Is(err, os.ErrNotExist) {
			if err := m.root.make(m.GetPath(), *m.kind == corev1.HostPathDirectoryOrCreate); err != nil {
				return err
			}
		}
	}
	return m.root.named(m.Mounter.SetUp(args))
}
