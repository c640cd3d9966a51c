package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"k8s.io/kubernetes/pkg/volume/util/subpath"
)

// subpather prepares subPath mounts without bind mounts. A directory is mounted as it is, after its symbolic links are
// resolved and found to stay inside the volume. A file is hard-linked into the pod's own directory: as with a bind mount
// the container keeps the file it started with when a ConfigMap's content is exchanged.
type subpather struct{}

var _ subpath.Interface = subpather{}

func (subpather) PrepareSafeSubpath(s subpath.Subpath) (string, func(), error) {
	path, err := resolveInside(s.Path, s.VolumePath)
	if err != nil {
		return "", nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, fmt.Errorf("prepare subPath %s: %w", s.Path, err)
	}
	if info.IsDir() {
		return path, nil, nil
	}
	dir := filepath.Join(s.PodDir, "volume-subpaths", s.VolumeName, s.ContainerName)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", nil, fmt.Errorf("prepare subPath %s: %w", s.Path, err)
	}
	link := filepath.Join(dir, strconv.Itoa(s.VolumeMountIndex))
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", nil, fmt.Errorf("prepare subPath %s: %w", s.Path, err)
	}
	if err := os.Link(path, link); err != nil {
		return "", nil, fmt.Errorf("prepare subPath %s: %w", s.Path, err)
	}
	return link, nil, nil
}

func (subpather) CleanSubPaths(podDir, volumeName string) error {
	return os.RemoveAll(filepath.Join(podDir, "volume-subpaths", volumeName))
}

// SafeMakeDir makes subdir below base; os.Root keeps symbolic links from leading out of it.
func (subpather) SafeMakeDir(subdir, base string, perm os.FileMode) error {
	root, err := os.OpenRoot(base)
	if err != nil {
		return fmt.Errorf("make subPath directory: %w", err)
	}
	defer root.Close()
	if filepath.IsAbs(subdir) {
		if subdir, err = filepath.Rel(base, subdir); err != nil {
			return fmt.Errorf("make subPath directory: %w", err)
		}
	}
	if err := root.MkdirAll(subdir, perm.Perm()); err != nil {
		return fmt.Errorf("make subPath directory: %w", err)
	}
	return nil
}

func resolveInside(path, volume string) (string, error) {
	base, err := filepath.EvalSymlinks(volume)
	if err != nil {
		return "", fmt.Errorf("resolve volume %s: %w", volume, err)
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("resolve subPath %s: %w", path, err)
	}
	if !within(resolved, base) {
		return "", fmt.Errorf("subpath %q not within volume path %q", resolved, base)
	}
	return resolved, nil
}
