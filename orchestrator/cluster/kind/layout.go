package kind

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

const (
	// DefaultNodeImage is of the line of Kubernetes that the project is made for, as built for the release of kind that is linked in.
	DefaultNodeImage = "kindest/node:v1.35.8@sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0"

	defaultWorkers = 3
	// maxNodes keeps a typing error from filling a machine with containers.
	maxNodes = 50

	kindAPI     = "kind.x-k8s.io/v1alpha4"
	kindCluster = "Cluster"
	// controlPlane is what the node with the control plane is called, inside the cluster.
	controlPlane = "control-plane"
)

// node is one node of a cluster.
type node struct {
	// name is what Kubernetes calls it, container what the engine does.
	name, container string
	worker          bool
}

// layout is a cluster as kind is asked for it.
type layout struct {
	config *v1alpha4.Cluster
	// nodes are in the order of the configuration's.
	nodes []node
}

// images are the node images, each once.
func (l *layout) images() []string {
	var out []string
	for _, n := range l.config.Nodes {
		out = append(out, n.Image)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// containers are the names of all nodes' containers.
func (l *layout) containers() []string {
	var out []string
	for _, n := range l.nodes {
		out = append(out, n.container)
	}
	return out
}

// layout plans a cluster that kind calls full. Errors are of party usage: nothing is looked at but the request and the user's file.
func (p *Provider) layout(want cluster.Spec, full string, cgroup1 bool) (*layout, error) {
	l, patches, err := p.nodes(want)
	if err != nil {
		return nil, err
	}
	timing, err := timingPatches(want.Fidelity)
	if err != nil {
		return nil, err
	}
	own := append([]string{namePatch, soloPatch}, timing...)
	if cgroup1 {
		own = append(own, cgroupPatch)
	}
	// What the user's file patches comes later, and wins.
	l.config.KubeadmConfigPatches = append(own, l.config.KubeadmConfigPatches...)
	l.config.Name = full
	workers := 0
	for i := range l.config.Nodes {
		n, made := &l.config.Nodes[i], &l.nodes[i]
		n.KubeadmConfigPatches = append([]string{patches[i]}, n.KubeadmConfigPatches...)
		n.Image = cmp.Or(p.NodeImage, n.Image, DefaultNodeImage)
		made.container = full + "-" + controlPlane
		if made.worker {
			if workers++; workers == 1 {
				made.container = full + "-worker"
			} else {
				made.container = fmt.Sprintf("%s-worker%d", full, workers)
			}
		}
	}
	return l, nil
}

// nodes are the nodes of the user's file, or those that are asked for, each with its own patch. Their containers are not named yet.
func (p *Provider) nodes(want cluster.Spec) (*layout, []string, error) {
	if p.Config != "" {
		if want.Nodes != 0 || len(want.NodeGroups) > 0 {
			err := errs.Newf(errs.Usage, "plan cluster: the kind configuration %s says which nodes there are, and so does the request", p.Config)
			return nil, nil, errs.Hint(err, "leave out one of the two")
		}
		return readConfig(p.Config)
	}
	l := &layout{config: &v1alpha4.Cluster{
		TypeMeta: v1alpha4.TypeMeta{Kind: kindCluster, APIVersion: kindAPI},
		Nodes:    []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole}},
	}, nodes: []node{{name: controlPlane}}}
	patches := []string{nodePatch(controlPlane, cluster.NodeGroup{})}
	groups := want.NodeGroups
	if len(groups) == 0 {
		count := cmp.Or(want.Nodes, defaultWorkers)
		if count < 1 || count > maxNodes {
			return nil, nil, errs.Hint(errs.Newf(errs.Usage, "plan cluster: %d nodes", want.Nodes), "give a number of nodes from 1 to %d", maxNodes)
		}
		groups = slices.Repeat([]cluster.NodeGroup{{}}, count)
	}
	for i, names := range cluster.NodeNames(groups) {
		if lacks := missing(groups[i]); len(lacks) > 0 {
			err := errs.Newf(errs.Usage, "plan cluster: group %d of the cluster file asks for %s, which a node in a container cannot have", i+1, list(lacks))
			return nil, nil, errs.Hint(err, "leave it out, or use --cluster embedded")
		}
		for _, name := range names {
			labels := map[string]string{corev1.LabelTopologyZone: fmt.Sprintf("zone-%c", 'a'+(len(l.nodes)-1)%3)}
			maps.Copy(labels, groups[i].Labels)
			l.config.Nodes = append(l.config.Nodes, v1alpha4.Node{Role: v1alpha4.WorkerRole, Labels: labels})
			l.nodes = append(l.nodes, node{name: name, worker: true})
			patches = append(patches, nodePatch(name, groups[i]))
		}
	}
	if workers := len(l.nodes) - 1; workers < 1 || workers > maxNodes {
		err := errs.Newf(errs.Usage, "plan cluster: groups of %d nodes in all", workers)
		return nil, nil, errs.Hint(err, "give the groups 1 to %d nodes in all", maxNodes)
	}
	return l, patches, nil
}

// missing names what a group asks for that a node in a container does not have of its own: it has the machine's.
func missing(g cluster.NodeGroup) []string {
	asked := map[string]bool{
		"cpu": g.CPU != "", "memory": g.Memory != "", "disk": g.Disk != "", "pids": g.PIDs != 0, "mtu": g.MTU != 0, "uplinkMTU": g.UplinkMTU != 0,
		"devices": len(g.Devices) > 0,
	}
	var out []string
	for _, field := range slices.Sorted(maps.Keys(asked)) {
		if asked[field] {
			out = append(out, field)
		}
	}
	return out
}

func list(words []string) string {
	out := ""
	for i, w := range words {
		switch {
		case i > 0 && i == len(words)-1:
			out += " and "
		case i > 0:
			out += ", "
		}
		out += w
	}
	return out
}
