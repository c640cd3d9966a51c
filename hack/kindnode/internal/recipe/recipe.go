// Package recipe says how a node image for kind is made from Debian packages and Go modules, and Chaos Mesh's images with it, where no
// container registry can be reached.
//
// A node image is what kind's own build makes of the same parts: a Debian with systemd, containerd, runc and the CNI plug-ins, the binaries
// of Kubernetes, and the images of the control plane in containerd's store. What is no Go module has a stand-in in cmd: kindnet-lite for
// kindnetd, local-path-lite for the local path provisioner, nsexec, pause and stress for the helpers of Chaos Mesh's daemon.
package recipe

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/debian"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/engine"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/rootfs"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/steps"
)

// The steps whose results somebody wants.
const (
	// NodeImage loads the node image into the container engine.
	NodeImage = "node-image"
	// Chart is Chaos Mesh's Helm chart, a directory.
	Chart = "chart"
	// ChaosImages is one archive with the images that the chart names.
	ChaosImages = "chaos-images"
)

// ChaosArchive is the name of the archive in the result of ChaosImages.
const ChaosArchive = "chaos-mesh-images.tar"

// Steps that others come after.
const (
	packages = "packages"
	root     = "rootfs"
	preload  = "preload"
)

// Options say where things are.
type Options struct {
	Source Source
	// Results is the directory in which the results of steps are kept.
	Results string
	// Debian is the root directory to start from; its packages are the recipe's.
	Debian rootfs.Debian
	// Engine gets the node image.
	Engine engine.Engine
}

// New returns the plan, with every version and every file of the recipe in its digests.
func New(ctx context.Context, o Options) (*steps.Plan, error) {
	r := &recipe{Options: o}
	r.Debian.Packages = nodePackages
	var err error
	if r.version, err = o.Source.Module("kubernetes").Version(ctx, "k8s.io/kubernetes"); err != nil {
		return nil, err
	}
	for _, dir := range []string{"layer", "recipe", "rootfs"} {
		digest, err := o.Source.Digest("internal/" + dir)
		if err != nil {
			return nil, err
		}
		r.self += digest
	}
	all := []steps.Step{
		{Name: packages, Lane: steps.Fetch, Effect: true, Run: installPackages},
		{
			Name: root, Lane: steps.Fetch, After: []string{packages}, Inputs: append([]string{o.Debian.Suite}, nodePackages...),
			Run: func(ctx context.Context, dir string, _ steps.Dirs) (string, error) {
				return o.Debian.Suite, r.Debian.Make(ctx, dir)
			},
		},
	}
	builds, err := r.builds(ctx)
	if err != nil {
		return nil, err
	}
	all = append(all, builds...)
	results, err := r.results(ctx)
	if err != nil {
		return nil, err
	}
	r.plan, err = steps.NewPlan(o.Results, append(all, results...)...)
	return r.plan, err
}

// Tag is the name of the node image: its tag is the digest of everything that it is made of.
func Tag(p *steps.Plan) string { return "gameday/kindnode:" + p.Digest(NodeImage)[:steps.Short] }

// Parts are the steps that NodeImage puts together.
var Parts = []string{preload, build("cni"), build("crictl")}

// recipe is what the steps share.
type recipe struct {
	Options
	// version is that of Kubernetes, with its v.
	version string
	// self is the digest of how things are put together: of the packages that do it.
	self string
	plan *steps.Plan
}

// nodePackages are the Debian packages of a node: those of kind's base image that are used, systemd as the first process, runc, and the
// tools that faults in networks are made with.
var nodePackages = []string{
	"bash", "ca-certificates", "conntrack", "curl", "dbus", "e2fsprogs", "ebtables", "ethtool", "iproute2", "ipset", "iptables", "jq",
	"kmod", "libseccomp2", "mount", "nftables", "pigz", "procps", "runc", "socat", "systemd", "systemd-sysv", "util-linux",
}

// installPackages installs what the other steps run on this machine.
func installPackages(ctx context.Context, _ string, _ steps.Dirs) (string, error) {
	missing := debian.Missing(
		debian.Need{Command: "debootstrap", Package: "debootstrap"},
		debian.Need{Command: "gcc", Package: "gcc"},
		// Chaos Mesh's daemon is linked statically.
		debian.Need{File: "/usr/lib/*/libc.a", Package: "libc6-dev"},
	)
	note := "nothing was missing"
	if len(missing) > 0 {
		note = fmt.Sprint(missing)
	}
	return note, debian.Install(ctx, missing)
}

// results are the steps that put things together.
func (r *recipe) results(ctx context.Context) ([]steps.Step, error) {
	kind, err := r.Source.Module("kind").Inputs(ctx)
	if err != nil {
		return nil, err
	}
	chaos, err := r.Source.Module(chaosModule).Inputs(ctx)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, name := range manifests {
		data, err := os.ReadFile(r.Source.Path("files", name))
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		files = append(files, string(data))
	}
	return []steps.Step{
		{Name: Chart, Lane: steps.Fetch, Inputs: append(slices.Clone(chaos), r.self), Run: r.chart},
		{
			Name: ChaosImages, Lane: steps.Build, After: []string{root, Chart, build("chaos-mesh"), build(own)}, Inputs: []string{r.self},
			Run: r.chaosImages,
		},
		{
			Name: preload, Lane: steps.Build,
			After:  []string{root, Chart, ChaosImages, build("kubernetes"), build("containerd"), build("coredns"), build("etcd"), build(own)},
			Inputs: append(slices.Clone(kind), r.self), Run: r.preload,
		},
		{
			Name: NodeImage, Lane: steps.Build, Effect: true,
			After:  []string{root, preload, build("kubernetes"), build("containerd"), build("cni"), build("crictl")},
			Inputs: append(append(slices.Clone(kind), files...), r.self), Run: r.nodeImage,
		},
	}, nil
}
