package recipe

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/gomod"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/steps"
)

const (
	// own is the part made of this module's cmd.
	own = "own"
	// chaosModule is the module that Chaos Mesh's programs are built from.
	chaosModule = "chaosmesh"
	// project is this module, and commands where its programs are.
	project  = "github.com/gameday-bench/gameday/hack/kindnode/"
	commands = project + "cmd/"
)

// part is a set of programs of one module.
type part struct {
	name string
	// module is the directory in modules, the part's name where it is empty.
	module string
	// path is the Go module whose version is shown.
	path   string
	builds []gomod.Build
	// rename are programs that go build names by a directory that says nothing.
	rename map[string]string
	inputs []string
}

// build and fetch are the steps of a part.
func build(part string) string { return "build-" + part }
func fetch(part string) string { return "fetch-" + part }

// parts are all programs, those that take longest first.
func (r *recipe) parts() ([]part, error) {
	programs, err := r.Source.Digest("cmd")
	if err != nil {
		return nil, err
	}
	dns, err := r.Source.Digest("modules/coredns")
	if err != nil {
		return nil, err
	}
	kubernetes := gomod.Build{LDFlags: stamp(r.version)}
	for _, name := range append([]string{"kubeadm", "kubectl", "kubelet", kubeProxy}, controlPlane...) {
		kubernetes.Packages = append(kubernetes.Packages, "k8s.io/kubernetes/cmd/"+name)
	}
	const (
		containerd = "github.com/containerd/containerd/v2"
		plugins    = "github.com/containernetworking/plugins"
		chaos      = "github.com/chaos-mesh/chaos-mesh"
	)
	return []part{
		{name: "kubernetes", path: "k8s.io/kubernetes", builds: []gomod.Build{kubernetes}},
		{name: "chaos-mesh", module: chaosModule, path: chaos, builds: []gomod.Build{
			{Packages: []string{chaos + "/cmd/chaos-controller-manager", chaos + "/cmd/chaos-daemon-helper"}, Tags: "netgo,osusergo"},
			// Its package ptrace is C. The tags keep the C library's lookups, which cannot be linked statically, out of it.
			{Packages: []string{chaos + "/cmd/chaos-daemon"}, Tags: "netgo,osusergo", CGO: true},
		}, rename: map[string]string{"chaos-daemon-helper": "cdh"}},
		{name: "containerd", path: containerd, builds: []gomod.Build{{
			Packages: []string{containerd + "/cmd/containerd", containerd + "/cmd/containerd-shim-runc-v2", containerd + "/cmd/ctr"},
			// As in kind's base image: snapshotters that are never selected.
			Tags: "no_aufs,no_zfs,no_btrfs,no_devmapper",
		}}},
		{name: "coredns", path: "github.com/coredns/coredns", builds: []gomod.Build{{Packages: []string{project + "modules/coredns"}}},
			inputs: []string{dns}},
		{name: "etcd", path: "go.etcd.io/etcd/server/v3", builds: []gomod.Build{{Packages: []string{"go.etcd.io/etcd/server/v3"}}},
			rename: map[string]string{"server": "etcd"}},
		{name: "crictl", path: "sigs.k8s.io/cri-tools", builds: []gomod.Build{{Packages: []string{"sigs.k8s.io/cri-tools/cmd/crictl"}}}},
		{name: "cni", path: plugins, builds: []gomod.Build{{Packages: []string{
			plugins + "/plugins/ipam/host-local", plugins + "/plugins/main/loopback", plugins + "/plugins/main/ptp", plugins + "/plugins/meta/portmap",
		}}}},
		{name: own, module: own, builds: []gomod.Build{{Packages: []string{
			commands + "chaos-pause", commands + "kindnet-lite", commands + "local-path-lite", commands + "nsexec", commands + "pause",
			commands + "stress",
		}}}, inputs: []string{programs}},
	}, nil
}

// builds are two steps for each part: one waits for the network, and the other does not.
func (r *recipe) builds(ctx context.Context) ([]steps.Step, error) {
	parts, err := r.parts()
	if err != nil {
		return nil, err
	}
	var fetches, builds []steps.Step
	for _, p := range parts {
		module := r.Source.Own()
		if p.module != own {
			module = r.Source.Module(p.directory())
		}
		inputs, err := module.Inputs(ctx)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, p.inputs...)
		after := []string{fetch(p.name)}
		for _, b := range p.builds {
			inputs = append(inputs, b.Inputs()...)
			if b.CGO {
				after = append(after, packages) // The C compiler is one of them.
			}
		}
		fetches = append(fetches, steps.Step{
			Name: fetch(p.name), Lane: steps.Fetch, Effect: true,
			Run: func(ctx context.Context, _ string, _ steps.Dirs) (string, error) { return "", module.Download(ctx) },
		})
		builds = append(builds, steps.Step{
			Name: build(p.name), Lane: steps.Build, After: after, Inputs: inputs,
			Run: func(ctx context.Context, dir string, _ steps.Dirs) (string, error) { return p.run(ctx, module, dir) },
		})
	}
	return append(fetches, builds...), nil
}

func (p part) directory() string {
	if p.module == "" {
		return p.name
	}
	return p.module
}

// run builds the part into dir. Its note is the version.
func (p part) run(ctx context.Context, module gomod.Module, dir string) (string, error) {
	for _, b := range p.builds {
		if err := module.Build(ctx, dir, b); err != nil {
			return "", err
		}
	}
	for from, to := range p.rename {
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			return "", fmt.Errorf("rename program: %w", err)
		}
	}
	if p.path == "" {
		return "", nil
	}
	return module.Version(ctx, p.path)
}

// stamp are the linker's flags that tell the programs of Kubernetes their version. Everything else in it is the same for every build.
func stamp(version string) string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	var flags []string
	for _, set := range [][2]string{
		{"gitVersion", version}, {"gitMajor", major}, {"gitMinor", minor}, {"gitTreeState", "clean"},
		{"gitCommit", strings.Repeat("0", 40)}, {"buildDate", "1970-01-01T00:00:00Z"},
	} {
		flags = append(flags, "-X k8s.io/component-base/version."+set[0]+"="+set[1])
	}
	return strings.Join(flags, " ")
}
