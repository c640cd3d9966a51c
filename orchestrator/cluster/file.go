package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/gameday-bench/gameday/internal/yamlx"
)

// MaxNodes is how many nodes a cluster file may ask for.
const MaxNodes = 100

// File is a cluster file: what the nodes of a cluster are.
type File struct {
	APIVersion string `yaml:"apiVersion" json:"apiVersion" check:"required,oneof=gameday.dev/v1"`
	Kind       string `yaml:"kind" json:"kind" check:"required,oneof=Cluster"`
	// Fidelity is that of Spec; empty leaves the choice to whoever uses the file.
	Fidelity string `yaml:"fidelity,omitempty" json:"fidelity,omitempty" check:"oneof=fast|production"`
	// Nodes are the cluster's nodes, in order.
	Nodes []NodeGroup `yaml:"nodes" json:"nodes" check:"required"`
}

// NodeGroup is one or more nodes that are alike. Quantities are written as Kubernetes does; empty ones are the provider's
// defaults.
type NodeGroup struct {
	// Name is the node's name, or, where Count is more than one, what stands before -1, -2, ...; empty means node, numbered
	// through the whole file.
	Name string `yaml:"name,omitempty" json:"name,omitempty"`
	// Count is the number of nodes; 0 is 1.
	Count int `yaml:"count,omitempty" json:"count,omitempty" check:"min=1"`
	// CPU in cores, Memory and Disk in bytes.
	CPU    string `yaml:"cpu,omitempty" json:"cpu,omitempty"`
	Memory string `yaml:"memory,omitempty" json:"memory,omitempty"`
	Disk   string `yaml:"disk,omitempty" json:"disk,omitempty"`
	// PIDs is how many tasks (threads) the node's kernel can have.
	PIDs int64 `yaml:"pids,omitempty" json:"pids,omitempty" check:"min=50"`
	// PodPIDs is how many of them one pod can have; 0 is no limit of its own.
	PodPIDs int64 `yaml:"podPIDs,omitempty" json:"podPIDs,omitempty" check:"min=10"`
	// MaxPods is how many pods the kubelet admits.
	MaxPods int32 `yaml:"maxPods,omitempty" json:"maxPods,omitempty" check:"min=1"`
	// MTU is that of eth0 of the node and its pods; 0 is Ethernet's. UplinkMTU is the largest packet between the node and others, and what is
	// larger is lost; 0 loses nothing.
	MTU       int `yaml:"mtu,omitempty" json:"mtu,omitempty" check:"min=576"`
	UplinkMTU int `yaml:"uplinkMTU,omitempty" json:"uplinkMTU,omitempty" check:"min=576"`
	// Labels and Taints are what the kubelet registers the node with.
	Labels map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`
	Taints []Taint           `yaml:"taints,omitempty" json:"taints,omitempty"`
	// Devices maps extended resources to how many the node has.
	Devices map[string]int `yaml:"devices,omitempty" json:"devices,omitempty"`
	// Eviction holds the kubelet's thresholds; nil means the provider's defaults.
	Eviction *Eviction `yaml:"eviction,omitempty" json:"eviction,omitempty"`
}

// Taint is a taint of a node.
type Taint struct {
	Key    string `yaml:"key" json:"key" check:"required"`
	Value  string `yaml:"value,omitempty" json:"value,omitempty"`
	Effect string `yaml:"effect" json:"effect" check:"required,oneof=NoSchedule|PreferNoSchedule|NoExecute"`
}

// Eviction holds the kubelet's eviction thresholds: signals (memory.available, ...) to quantities or percentages.
type Eviction struct {
	Hard map[string]string `yaml:"hard,omitempty" json:"hard,omitempty"`
	Soft map[string]string `yaml:"soft,omitempty" json:"soft,omitempty"`
	// SoftGracePeriod is how long a soft threshold has to be crossed, by signal.
	SoftGracePeriod map[string]string `yaml:"softGracePeriod,omitempty" json:"softGracePeriod,omitempty"`
}

// ReadFile decodes and checks a cluster file. The error is a yamlx.ErrorList.
func ReadFile(name string, data []byte) (*File, error) {
	doc, err := yamlx.Parse(name, data)
	if err != nil {
		return nil, err
	}
	f := &File{}
	c := &checker{doc: doc}
	c.list.Add(name, doc.Decode(f))
	for i := range f.Nodes {
		c.group(yamlx.Index("nodes", i), &f.Nodes[i])
	}
	seen := map[string]bool{}
	total := 0
	for i, names := range NodeNames(f.Nodes) {
		total += len(names)
		for _, n := range names {
			if seen[n] {
				c.fail(yamlx.Index("nodes", i), "a second node would be called %q", n)
			}
			seen[n] = true
		}
	}
	if total > MaxNodes {
		c.fail("nodes", "%d nodes; at most %d", total, MaxNodes)
	}
	if err := c.list.Err(); err != nil {
		return nil, err
	}
	return f, nil
}

// NodeNames returns the names of the nodes of each group. Counts out of range give none.
func NodeNames(groups []NodeGroup) [][]string {
	out := make([][]string, len(groups))
	n := 0
	for i, g := range groups {
		count := max(g.Count, 1)
		if count > MaxNodes {
			continue
		}
		for k := range count {
			n++
			switch {
			case g.Name == "":
				out[i] = append(out[i], fmt.Sprintf("node-%d", n))
			case count == 1:
				out[i] = append(out[i], g.Name)
			default:
				out[i] = append(out[i], fmt.Sprintf("%s-%d", g.Name, k+1))
			}
		}
	}
	return out
}

// checker checks what tags cannot say.
type checker struct {
	doc  *yamlx.Document
	list yamlx.ErrorList
}

func (c *checker) fail(path, format string, args ...any) {
	c.list = append(c.list, c.doc.Problem(path, format, args...))
}

// nameLength keeps the paths of a node's sockets short.
const nameLength = 20

func (c *checker) group(at string, g *NodeGroup) {
	if g.Name != "" {
		switch bad := validation.IsDNS1123Label(g.Name); {
		case len(bad) > 0:
			c.fail(yamlx.Child(at, "name"), "%q is not a name of a node: %s", g.Name, bad[0])
		case len(g.Name) > nameLength:
			c.fail(yamlx.Child(at, "name"), "%q is longer than %d characters", g.Name, nameLength)
		case g.Name == "control-plane":
			c.fail(yamlx.Child(at, "name"), "%q is the control plane's", g.Name)
		}
	}
	if g.Count > MaxNodes {
		c.fail(yamlx.Child(at, "count"), "%d nodes; at most %d", g.Count, MaxNodes)
	}
	c.quantity(yamlx.Child(at, "cpu"), g.CPU, "1")
	c.quantity(yamlx.Child(at, "memory"), g.Memory, "256Mi")
	c.quantity(yamlx.Child(at, "disk"), g.Disk, "64Mi")
	c.mtu(yamlx.Child(at, "mtu"), g.MTU)
	c.mtu(yamlx.Child(at, "uplinkMTU"), g.UplinkMTU)
	c.labels(yamlx.Child(at, "labels"), g.Labels)
	for i, t := range g.Taints {
		c.taint(yamlx.Index(yamlx.Child(at, "taints"), i), t)
	}
	for _, name := range slices.Sorted(maps.Keys(g.Devices)) {
		path := yamlx.Child(yamlx.Child(at, "devices"), name)
		if bad := validation.IsQualifiedName(name); len(bad) > 0 || !strings.Contains(name, "/") || reserved(name) {
			c.fail(path, "%q is not an extended resource: want a domain other than kubernetes.io and a name, like example.com/gpu", name)
		}
		if n := g.Devices[name]; n < 1 || n > maxDevices {
			c.fail(path, "%d devices; want 1 to %d", n, maxDevices)
		}
	}
	if g.Eviction != nil {
		c.eviction(yamlx.Child(at, "eviction"), g.Eviction)
	}
}

// maxMTU is that of Ethernet with jumbo frames.
const maxMTU = 9000

func (c *checker) mtu(path string, size int) {
	if size > maxMTU {
		c.fail(path, "%d bytes; at most %d", size, maxMTU)
	}
}

// maxDevices bounds the devices of one kind on a node.
const maxDevices = 64

func (c *checker) quantity(path, text, least string) {
	if text == "" {
		return
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		c.fail(path, "%q is not a quantity like 2, 512Mi or 8Gi", text)
		return
	}
	if q.Cmp(resource.MustParse(least)) < 0 {
		c.fail(path, "must be at least %s, got %s", least, text)
	}
}

// reserved is true for names that are Kubernetes' own.
func reserved(name string) bool {
	domain, _, _ := strings.Cut(name, "/")
	return domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") || domain == "k8s.io" || strings.HasSuffix(domain, ".k8s.io")
}

// kubeletLabels are the labels of Kubernetes' own domains that a kubelet may set on its node.
func kubeletLabel(key string) bool {
	domain, _, _ := strings.Cut(key, "/")
	switch key {
	case corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelInstanceTypeStable:
		return true
	}
	return domain == "kubelet.kubernetes.io" || domain == "node.kubernetes.io"
}

func (c *checker) labels(at string, labels map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		path := yamlx.Child(at, key)
		if bad := cmp.Or(strings.Join(validation.IsQualifiedName(key), "; "), strings.Join(validation.IsValidLabelValue(labels[key]), "; ")); bad != "" {
			c.fail(path, "not a label: %s", bad)
			continue
		}
		if reserved(key) && !kubeletLabel(key) {
			c.fail(path, "a kubelet may not set %q; of Kubernetes' own labels it may set %s, %s, %s and those below node.kubernetes.io/", key,
				corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelInstanceTypeStable)
		}
	}
}

func (c *checker) taint(at string, t Taint) {
	if t.Key != "" {
		if bad := validation.IsQualifiedName(t.Key); len(bad) > 0 {
			c.fail(yamlx.Child(at, "key"), "%q is not a key: %s", t.Key, bad[0])
		}
	}
	if bad := validation.IsValidLabelValue(t.Value); len(bad) > 0 {
		c.fail(yamlx.Child(at, "value"), "%q is not a value: %s", t.Value, bad[0])
	}
}

func signals() []string {
	return []string{"memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree", "pid.available"}
}

func (c *checker) eviction(at string, e *Eviction) {
	thresholds := func(field string, all map[string]string) {
		for _, signal := range slices.Sorted(maps.Keys(all)) {
			path := yamlx.Child(yamlx.Child(at, field), signal)
			if !slices.Contains(signals(), signal) {
				c.fail(path, "unknown signal %q (allowed: %s)", signal, strings.Join(signals(), ", "))
			}
			if err := checkThreshold(all[signal]); err != nil {
				c.fail(path, "%q %v", all[signal], err)
			}
		}
	}
	thresholds("hard", e.Hard)
	thresholds("soft", e.Soft)
	for _, signal := range slices.Sorted(maps.Keys(e.Soft)) {
		if e.SoftGracePeriod[signal] == "" {
			c.fail(yamlx.Child(yamlx.Child(at, "soft"), signal), "needs a softGracePeriod")
		}
	}
	for _, signal := range slices.Sorted(maps.Keys(e.SoftGracePeriod)) {
		c.gracePeriod(yamlx.Child(yamlx.Child(at, "softGracePeriod"), signal), e, signal)
	}
}

func checkThreshold(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	q, err := resource.ParseQuantity(number)
	if err != nil {
		return errors.New("is neither a quantity nor a percentage")
	}
	if q.Sign() <= 0 || percent && q.Cmp(resource.MustParse("100")) >= 0 {
		return errors.New("must be more than 0, and less than 100%")
	}
	return nil
}

func (c *checker) gracePeriod(path string, e *Eviction, signal string) {
	if _, ok := e.Soft[signal]; !ok {
		c.fail(path, "has no soft threshold")
	}
	if d, err := time.ParseDuration(e.SoftGracePeriod[signal]); err != nil || d <= 0 {
		c.fail(path, "%q is not a time like 30s", e.SoftGracePeriod[signal])
	}
}
