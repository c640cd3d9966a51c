package recipe

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/command"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/layer"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/rootfs"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/steps"
)

// The stand-ins for images that are built from no Go module. files/*.yaml name them.
const (
	// Agents see what pods run: the names say nothing of the project.
	kindnetImage   = "registry.local/kindnet-lite:v1"
	localPathImage = "registry.local/local-path-lite:v1"
)

const kubeProxy = "kube-proxy"

// controlPlane are the programs of Kubernetes that run as static pods.
var controlPlane = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// executable is the mode of programs.
const executable fs.FileMode = 0o755

// searchPath is where programs are found in the images.
var searchPath = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

// required are the images of a release, as kubeadm, which was built before, lists them.
func (r *recipe) required(ctx context.Context, after steps.Dirs) ([]string, error) {
	out, err := command.Run(ctx, command.Cmd{
		Name: filepath.Join(after[build("kubernetes")], "kubeadm"), Args: []string{"config", "images", "list", "--kubernetes-version", r.version},
	})
	if err != nil {
		return nil, fmt.Errorf("list images that kubeadm wants: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// images are the images of a node: those that kubeadm wants, under its names, and the stand-ins. sandbox is the one that containerd makes
// sandboxes of.
func (r *recipe) images(ctx context.Context, after steps.Dirs, sandbox string) ([]layer.Image, error) {
	refs, err := r.required(ctx, after)
	if err != nil {
		return nil, err
	}
	if err := r.checkVersions(ctx, refs); err != nil {
		return nil, err
	}
	tools, err := toolsLayer(after[root])
	if err != nil {
		return nil, err
	}
	var out []layer.Image
	for _, ref := range refs {
		image, err := r.image(ref, after, tools)
		if err != nil {
			return nil, err
		}
		if component(ref) == "pause" && ref != sandbox {
			image.Tags = append(image.Tags, sandbox)
		}
		out = append(out, image)
	}
	for ref, program := range map[string]string{kindnetImage: "kindnet-lite", localPathImage: "local-path-lite"} {
		image, err := static(ref, program, filepath.Join(after[build(own)], program))
		if err != nil {
			return nil, err
		}
		out = append(out, image)
	}
	return out, nil
}

// image makes the image that kubeadm calls ref.
func (r *recipe) image(ref string, after steps.Dirs, tools *layer.Layer) (layer.Image, error) {
	switch name := component(ref); {
	case slices.Contains(controlPlane, name):
		return withPath(ref, filepath.Join(after[build("kubernetes")], name))
	case name == kubeProxy:
		return withPath(ref, filepath.Join(after[build("kubernetes")], name), tools)
	case name == "etcd":
		return withPath(ref, filepath.Join(after[build("etcd")], name))
	case name == "coredns":
		return static(ref, name, filepath.Join(after[build("coredns")], name))
	case name == "pause":
		image, err := static(ref, name, filepath.Join(after[build(own)], name))
		image.Config.User = "65535:65535"
		return image, err
	}
	return layer.Image{}, fmt.Errorf("kubeadm wants the image %s, which this recipe does not know how to make", ref)
}

// checkVersions says when kubeadm wants a version of etcd or CoreDNS that modules does not build.
func (r *recipe) checkVersions(ctx context.Context, refs []string) error {
	for name, module := range map[string]string{"etcd": "go.etcd.io/etcd/server/v3", "coredns": "github.com/coredns/coredns"} {
		have, err := r.Source.Module(name).Version(ctx, module)
		if err != nil {
			return err
		}
		for _, ref := range refs {
			// Tags of etcd have no v, and the number of the image's own build at the end.
			wants := strings.TrimPrefix(version(ref), "v")
			number, _, _ := strings.Cut(wants, "-")
			if component(ref) == name && number != strings.TrimPrefix(have, "v") {
				return fmt.Errorf("kubeadm of Kubernetes %s wants %s, but modules/%s/go.mod has %s: require that version there", r.version, ref, name, have)
			}
		}
	}
	return nil
}

// component is the last part of an image's name, version its tag.
func component(ref string) string {
	name, _, _ := strings.Cut(path.Base(ref), ":")
	return name
}

func version(ref string) string {
	_, tag, _ := strings.Cut(path.Base(ref), ":")
	return tag
}

// withPath is an image whose program is found by its name, above the layers below.
func withPath(ref, program string, below ...*layer.Layer) (layer.Image, error) {
	top, err := layer.Files(layer.Dir("tmp", sticky), layer.File("usr/local/bin/"+filepath.Base(program), program, executable))
	if err != nil {
		return layer.Image{}, fmt.Errorf("make image %s: %w", ref, err)
	}
	return layer.Image{Tags: []string{ref}, Layers: append(below, top), Config: v1.Config{Env: searchPath, WorkingDir: "/"}}, nil
}

// static is an image that starts a program, and has nothing else.
func static(ref, name, program string) (layer.Image, error) {
	only, err := layer.Files(layer.Dir("tmp", sticky), layer.File(name, program, executable))
	if err != nil {
		return layer.Image{}, fmt.Errorf("make image %s: %w", ref, err)
	}
	return layer.Image{
		Tags: []string{ref}, Layers: []*layer.Layer{only},
		Config: v1.Config{Env: searchPath, WorkingDir: "/", Entrypoint: []string{"/" + name}},
	}, nil
}

const sticky = fs.ModeSticky | 0o777

// toolsLayer has the programs that kube-proxy and Chaos Mesh's daemon run, with their libraries: a small Debian without a package manager.
// Both images share it.
func toolsLayer(debian string) (*layer.Layer, error) {
	p := rootfs.In(debian)
	if err := p.Add(
		"xtables-nft-multi", "xtables-legacy-multi", "ipset", "conntrack", "nft", "ip", "tc", "nsenter", "choom", "dash", "kmod", "ps", "pgrep",
		"mount", "umount", "grep", "sed", "cat", "cp", "mv", "rm", "ls", "mkdir", "touch", "sleep", "env",
	); err != nil {
		return nil, err
	}
	// iptables loads its matches and targets by their names, of which many are links.
	if err := p.AddDir(rootfs.Libraries()+"/xtables", false); err != nil {
		return nil, err
	}
	// The distributions of delays.
	if err := p.AddDir("usr/lib/tc", true); err != nil {
		return nil, err
	}
	links := map[string]string{"usr/bin/sh": "dash", "usr/sbin/modprobe": "../bin/kmod", "usr/sbin/ebtables": "xtables-nft-multi"}
	for _, name := range []string{"iptables", "ip6tables"} {
		for _, suffix := range []string{"", "-save", "-restore"} {
			links["usr/sbin/"+name+suffix] = "xtables-nft-multi"
			links["usr/sbin/"+name+"-legacy"+suffix] = "xtables-legacy-multi"
		}
	}
	entries := append(p.Entries(),
		layer.Text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644), layer.Text("etc/group", "root:x:0:\n", 0o644),
		layer.Dir("run", executable), layer.Dir("root", 0o700), layer.Dir("proc", executable), layer.Dir("sys", executable))
	for name, target := range links {
		entries = append(entries, layer.Link(name, target))
	}
	l, err := layer.Files(entries...)
	if err != nil {
		return nil, fmt.Errorf("make layer of tools: %w", err)
	}
	return l, nil
}
