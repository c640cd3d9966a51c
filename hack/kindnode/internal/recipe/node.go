package recipe

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/layer"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/steps"
)

// containerdConfig is where kind has containerd's configuration, in its files and in a node.
const containerdConfig = "etc/containerd/config.toml"

// nodeImage puts the image together and gives it to the engine. Its layers are the Debian, what a node runs, and the images in
// containerd's store.
func (r *recipe) nodeImage(ctx context.Context, _ string, after steps.Dirs) (string, error) {
	debian, err := layer.Tree(after[root], "", left)
	if err != nil {
		return "", fmt.Errorf("read the Debian root directory: %w", err)
	}
	entries, err := r.nodeFiles(ctx, after)
	if err != nil {
		return "", err
	}
	files, err := layer.Files(entries...)
	if err != nil {
		return "", err
	}
	images, err := layer.Tree(after[preload], "var/lib/containerd", func(string) bool { return false })
	if err != nil {
		return "", fmt.Errorf("read the store of images: %w", err)
	}
	tag := Tag(r.plan)
	image := layer.Image{
		Tags: []string{tag}, Layers: []*layer.Layer{debian, files, images},
		Config: v1.Config{
			// Tells systemd that it is in a container.
			Env:        []string{"container=docker"},
			Entrypoint: []string{"/usr/local/bin/entrypoint", "/sbin/init"},
			// systemd ends with this one; another one would make it start again.
			StopSignal: "SIGRTMIN+3",
		},
	}
	if err := r.Engine.Load(ctx, func(w io.Writer) error { return layer.Archive(w, image) }); err != nil {
		return "", err
	}
	if !r.Engine.Has(ctx, tag) {
		return "", fmt.Errorf("load image: %s does not have %s afterwards", r.Engine.Program, tag)
	}
	return tag, nil
}

// left says which files of the Debian root directory a node does without: what packages bring for people, state of the machine that it was
// made on, and the units that kind's base image removes because they do not fit a container.
func left(name string) bool {
	for _, dir := range []string{
		"dev", "proc", "run", "sys", "tmp", "usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man", "var/cache/apt",
		"var/lib/apt/lists", "var/log",
	} {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	const units = "usr/lib/systemd/system/"
	for _, pattern := range []string{
		"etc/hostname", "etc/machine-id", "etc/resolv.conf", "etc/systemd/system/*.wants/*", units + "basic.target.wants/*",
		units + "local-fs.target.wants/*", units + "multi-user.target.wants/*", units + "sockets.target.wants/*initctl*",
		units + "sockets.target.wants/*udev*", units + "sysinit.target.wants/systemd-tmpfiles-setup.service",
	} {
		if match, err := path.Match(pattern, name); err == nil && match {
			return true
		}
	}
	return false
}

// kindFiles is the directory of the files that kind puts into its base image, from its module.
func (r *recipe) kindFiles(ctx context.Context) (string, error) {
	module, err := r.Source.Module("kind").Source(ctx, "sigs.k8s.io/kind")
	if err != nil {
		return "", err
	}
	return filepath.Join(module, "images", "base", "files"), nil
}

// nodeFiles are the files of a node that are in no Debian package.
func (r *recipe) nodeFiles(ctx context.Context, after steps.Dirs) ([]layer.Entry, error) {
	kind, err := r.kindFiles(ctx)
	if err != nil {
		return nil, err
	}
	out, err := kindEntries(kind)
	if err != nil {
		return nil, err
	}
	base, err := baseSpec(ctx, filepath.Join(after[build("containerd")], "ctr"))
	if err != nil {
		return nil, err
	}
	programs, err := programEntries(after)
	if err != nil {
		return nil, err
	}
	out = append(out, programs...)
	for _, name := range manifests {
		data, err := os.ReadFile(r.Source.Path("files", name))
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		out = append(out, layer.Text("kind/manifests/"+name, string(data), readable))
	}
	for _, unit := range []string{"containerd.service", "kubelet.service", "undo-mount-hacks.service"} {
		out = append(out, layer.Link("etc/systemd/system/multi-user.target.wants/"+unit, "/etc/systemd/system/"+unit))
	}
	return append(out,
		layer.Text("kind/version", r.version, readable), layer.Text("etc/containerd/cri-base.json", base, readable),
		layer.Dir("etc/kubernetes/manifests", executable),
		// Its formats would be registered for the whole machine.
		layer.Link("etc/systemd/system/systemd-binfmt.service", "/dev/null"),
		// The machine's kernel log is not the node's.
		layer.Text("etc/systemd/journald.conf.d/10-kind.conf", "[Journal]\nReadKMsg=no\n", readable),
	), nil
}

// manifests are what kind applies to a new cluster.
var manifests = []string{"default-cni.yaml", "default-storage.yaml"}

const readable = 0o644

// kindEntries are kind's own files, with the modes that its build gives them.
func kindEntries(kind string) ([]layer.Entry, error) {
	entrypoint := filepath.Join(kind, "usr", "local", "bin", "entrypoint")
	out := []layer.Entry{layer.File("usr/local/bin/entrypoint", entrypoint, executable)}
	scripts, err := filepath.Glob(filepath.Join(kind, "kind", "bin", "*"))
	if err != nil || len(scripts) == 0 {
		return nil, fmt.Errorf("find kind's scripts in %s: %w", kind, os.ErrNotExist)
	}
	for _, script := range scripts {
		out = append(out, layer.File("kind/bin/"+filepath.Base(script), script, executable))
	}
	err = filepath.WalkDir(filepath.Join(kind, "etc"), func(file string, d fs.DirEntry, err error) error {
		// The unit of a snapshotter that is not in the image is left out.
		if err != nil || d.IsDir() || strings.Contains(d.Name(), "fuse-overlayfs") {
			return err
		}
		entry, err := kindEntry(kind, file)
		out = append(out, entry)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read kind's files: %w", err)
	}
	if !slices.ContainsFunc(out, func(e layer.Entry) bool { return e.Path == containerdConfig }) {
		return nil, fmt.Errorf("find containerd's configuration in %s: %w", kind, os.ErrNotExist)
	}
	return out, nil
}

// kindEntry is one of the files below etc.
func kindEntry(kind, file string) (layer.Entry, error) {
	rel, err := filepath.Rel(kind, file)
	if err != nil {
		return layer.Entry{}, err
	}
	if rel = filepath.ToSlash(rel); rel != containerdConfig {
		return layer.File(rel, file, readable), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return layer.Entry{}, err
	}
	// Where a machine may not lower the score by which the kernel chooses what to kill, a container that asks for a lower one than
	// containerd's does not start. With this setting it gets containerd's.
	const unrestricted, restricted = "restrict_oom_score_adj = false", "restrict_oom_score_adj = true"
	if !strings.Contains(string(data), unrestricted) {
		return layer.Entry{}, fmt.Errorf("containerd's configuration of kind does not say %q", unrestricted)
	}
	return layer.Text(rel, strings.Replace(string(data), unrestricted, restricted, 1), readable), nil
}

// programEntries are the programs that run on a node itself.
func programEntries(after steps.Dirs) ([]layer.Entry, error) {
	var out []layer.Entry
	for _, p := range []struct {
		step, to string
		names    []string
	}{
		{build("kubernetes"), "usr/bin", []string{"kubeadm", "kubectl", "kubelet"}},
		{build("containerd"), "usr/local/bin", []string{"containerd", "containerd-shim-runc-v2", "ctr"}},
		{build("crictl"), "usr/local/bin", []string{"crictl"}},
		{build("cni"), "opt/cni/bin", []string{"host-local", "loopback", "portmap", "ptp"}},
	} {
		for _, name := range p.names {
			program := filepath.Join(after[p.step], name)
			if _, err := os.Stat(program); err != nil {
				return nil, fmt.Errorf("find program of a node: %w", err)
			}
			out = append(out, layer.File(path.Join(p.to, name), program, executable))
		}
	}
	return out, nil
}
