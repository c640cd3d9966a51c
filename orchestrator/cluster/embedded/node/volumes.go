package node

import (
	"fmt"
	"os"
	"path/filepath"

	kubecontainer "k8s.io/kubernetes/pkg/kubelet/container"
	"k8s.io/kubernetes/pkg/volume"
	"k8s.io/kubernetes/pkg/volume/configmap"
	"k8s.io/kubernetes/pkg/volume/downwardapi"
	"k8s.io/kubernetes/pkg/volume/emptydir"
	"k8s.io/kubernetes/pkg/volume/hostpath"
	"k8s.io/kubernetes/pkg/volume/local"
	"k8s.io/kubernetes/pkg/volume/projected"
	"k8s.io/kubernetes/pkg/volume/secret"
)

// volumePlugins are the volumes that need no mount. root is the root directory of the node: host paths lie below it.
func volumePlugins(root nodeRoot, disks *accounts) []volume.VolumePlugin {
	var all []volume.VolumePlugin
	all = append(all, emptydir.ProbeVolumePlugins()...)
	all = append(all, secret.ProbeVolumePlugins()...)
	all = append(all, configmap.ProbeVolumePlugins()...)
	all = append(all, downwardapi.ProbeVolumePlugins()...)
	all = append(all, projected.ProbeVolumePlugins()...)
	for _, p := range hostpath.ProbeVolumePlugins(volume.VolumeConfig{}) {
		all = append(all, &nodePath{VolumePlugin: p, root: root})
	}
	for _, p := range local.ProbeVolumePlugins() {
		all = append(all, &localDisks{VolumePlugin: p, root: root, accounts: disks})
	}
	return all
}

// nodeOS is the operating system as the kubelet sees it: the real one, with the links that it makes in
// /var/log/containers kept in the node's own directory, and the node's own name.
type nodeOS struct {
	kubecontainer.RealOS
	name string
	logs string
}

const containerLogLinks = "/var/log/containers"

func (o nodeOS) moved(path string) string {
	if !within(filepath.Clean(path), containerLogLinks) {
		return path
	}
	rel, err := filepath.Rel(containerLogLinks, path)
	if err != nil {
		return path
	}
	return filepath.Join(o.logs, rel)
}

func (o nodeOS) Hostname() (string, error) { return o.name, nil }
func (o nodeOS) MkdirAll(path string, perm os.FileMode) error {
	return o.RealOS.MkdirAll(o.moved(path), perm)
}
func (o nodeOS) Symlink(oldname, newname string) error {
	return o.RealOS.Symlink(oldname, o.moved(newname))
}
func (o nodeOS) Stat(path string) (os.FileInfo, error) { return o.RealOS.Stat(o.moved(path)) }
func (o nodeOS) Remove(path string) error              { return o.RealOS.Remove(o.moved(path)) }
func (o nodeOS) RemoveAll(path string) error           { return o.RealOS.RemoveAll(o.moved(path)) }
func (o nodeOS) ReadDir(dirname string) ([]os.DirEntry, error) {
	return o.RealOS.ReadDir(o.moved(dirname))
}
func (o nodeOS) Glob(pattern string) ([]string, error) { return o.RealOS.Glob(o.moved(pattern)) }

// makeDirs makes the directories of a node.
func makeDirs(dirs ...string) error {
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("make node directory: %w", err)
		}
	}
	return nil
}
