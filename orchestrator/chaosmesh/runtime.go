package chaosmesh

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/gameday-bench/gameday/internal/errs"
)

// nodeRuntime is a container runtime as the chart names it, with its socket on the nodes.
type nodeRuntime struct{ name, socket string }

func (r nodeRuntime) String() string { return r.name + " at " + r.socket }

// runtimes are what nodes report (before the "://" of containerRuntimeVersion), and what that means for the chart.
var runtimes = map[string]nodeRuntime{
	"containerd": {"containerd", "/run/containerd/containerd.sock"},
	"cri-o":      {"crio", "/var/run/crio/crio.sock"},
	"docker":     {"docker", "/var/run/docker.sock"},
}

// sockets are the places of distributions that bring a containerd of their own, by what is part of the kubelet's version.
var sockets = map[string]string{
	"+k3s":  "/run/k3s/containerd/containerd.sock",
	"+rke2": "/run/k3s/containerd/containerd.sock",
	"+k0s":  "/run/k0s/containerd.sock",
}

// runtimeOf is the one runtime of the nodes, or what the options say.
func (o Options) runtimeOf(nodes []corev1.Node) (nodeRuntime, error) {
	if o.Runtime != "" && !slices.Contains([]string{"containerd", "crio", "docker"}, o.Runtime) {
		return nodeRuntime{}, errs.Newf(errs.Usage, "container runtime %q is not known to Chaos Mesh, which speaks to containerd, crio and docker",
			o.Runtime)
	}
	if o.Runtime != "" && o.Socket != "" {
		return nodeRuntime{o.Runtime, o.Socket}, nil
	}
	found, err := detectRuntime(nodes)
	if err != nil {
		return nodeRuntime{}, err
	}
	if o.Runtime != "" && o.Runtime != found.name {
		return nodeRuntime{}, errs.Hint(errs.Newf(errs.Usage, "container runtime %s was asked for, and the nodes have %s", o.Runtime, found),
			"leave the runtime out, or name its socket, too")
	}
	return nodeRuntime{found.name, cmp.Or(o.Socket, found.socket)}, nil
}

// detectRuntime is the runtime that all nodes have. Chaos Mesh has one setting for all of its daemons.
func detectRuntime(nodes []corev1.Node) (nodeRuntime, error) {
	users := map[nodeRuntime]string{}
	for _, n := range linux(nodes) {
		info := n.Status.NodeInfo
		reported, _, _ := strings.Cut(info.ContainerRuntimeVersion, "://")
		r, known := runtimes[reported]
		if !known {
			return nodeRuntime{}, errs.Newf(errs.Infra, "node %s has the container runtime %q, and Chaos Mesh speaks to containerd, cri-o and docker",
				n.Name, info.ContainerRuntimeVersion)
		}
		for mark, socket := range sockets {
			if r.name == "containerd" && strings.Contains(info.KubeletVersion, mark) {
				r.socket = socket
			}
		}
		users[r] = n.Name
	}
	switch found := slices.Collect(maps.Keys(users)); len(found) {
	case 0:
		return nodeRuntime{}, errs.Newf(errs.Infra, "no Linux node is there for Chaos Mesh")
	case 1:
		return found[0], nil
	}
	var all []string
	for r, node := range users {
		all = append(all, fmt.Sprintf("%s (%s)", r, node))
	}
	slices.Sort(all)
	return nodeRuntime{}, errs.Hint(errs.Newf(errs.Infra, "nodes have different container runtimes: %s", strings.Join(all, ", ")),
		"Chaos Mesh has one setting for all nodes: use nodes that are alike, or install it yourself")
}

// linux are the nodes that the daemon can run on.
func linux(nodes []corev1.Node) []corev1.Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n corev1.Node) bool {
		system := cmp.Or(n.Labels[corev1.LabelOSStable], n.Status.NodeInfo.OperatingSystem)
		return system != "" && system != "linux"
	})
}

// fallbackPause is pulled where no pause image is known to be there. The chart's own default is no longer published.
const fallbackPause = "registry.k8s.io/pause:3.10"

// pauseImage is a pause image that every node has, as it has of the sandboxes of its pods.
func pauseImage(nodes []corev1.Node) string {
	have, all := map[string]int{}, linux(nodes)
	for _, n := range all {
		for _, image := range n.Status.Images {
			for _, name := range image.Names {
				if repository, tag, tagged := strings.Cut(path.Base(name), ":"); repository == "pause" && tagged && !strings.Contains(tag, "@") {
					have[name]++
				}
			}
		}
	}
	maps.DeleteFunc(have, func(_ string, nodes int) bool { return nodes < len(all) })
	if len(have) == 0 {
		return fallbackPause
	}
	return slices.Max(slices.Collect(maps.Keys(have)))
}
