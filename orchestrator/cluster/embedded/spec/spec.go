// Package spec describes one embedded cluster: what its processes are told when they start.
//
// The parent writes a Cluster as cluster.json into the cluster's directory before it starts anything; the control plane
// and every node read the same file. The package imports nothing heavy, so that the CLI can use it.
package spec

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Cluster is everything that the processes of one embedded cluster have to agree on.
type Cluster struct {
	// Name is the cluster's name, unique among the clusters of one user.
	Name string `json:"name"`
	// Dir is the cluster's private directory (mode 0700). Everything that the cluster writes is below it.
	Dir string `json:"dir"`
	// Ports are host ports on loopback, chosen free by the parent.
	Ports Ports `json:"ports"`
	// Network is the userspace network's address plan.
	Network Network `json:"network"`
	// Nodes are the cluster's nodes, in order.
	Nodes []Node `json:"nodes"`
	// Timing holds the control-loop periods of the chosen fidelity.
	Timing Timing `json:"timing"`
	// ProgramBinaries are the executables whose programs the container runtime offers as images, for example gameday-pod.
	// Each prints what it holds as JSON when it is called with --images.
	ProgramBinaries []string `json:"programBinaries"`
}

// Ports are host ports on 127.0.0.1 (and, for ChaosDaemon, on the 127.0.0.x address of each node).
type Ports struct {
	APIServer   int `json:"apiServer"`
	EtcdClient  int `json:"etcdClient"`
	EtcdPeer    int `json:"etcdPeer"`
	Webhook     int `json:"webhook"`
	ChaosDaemon int `json:"chaosDaemon"`
}

// Network is the address plan of the userspace network. None of these addresses exists on the host.
type Network struct {
	PodCIDR     netip.Prefix `json:"podCIDR"`
	ServiceCIDR netip.Prefix `json:"serviceCIDR"`
	// ControlPlane is the control plane's address on the userspace network: the endpoint behind the kubernetes Service.
	ControlPlane netip.Addr `json:"controlPlane"`
	// DNS is the ClusterIP of the kube-dns Service.
	DNS    netip.Addr `json:"dns"`
	Domain string     `json:"domain"`
}

// Node is one node: a kubelet, its container runtime and its network in one process.
type Node struct {
	Name    string       `json:"name"`
	Address netip.Addr   `json:"address"`
	PodCIDR netip.Prefix `json:"podCIDR"`
	CPU     string       `json:"cpu"`
	Memory  string       `json:"memory"`
	Disk    string       `json:"disk"`
	PIDs    int64        `json:"pids"`
	PodPIDs int64        `json:"podPIDs,omitempty"` // 0: as many as the node has.
	MaxPods int32        `json:"maxPods"`
	// MTU and UplinkMTU are those of eth0 and of the way to other nodes; 0 is the network's default.
	MTU       int               `json:"mtu,omitempty"`
	UplinkMTU int               `json:"uplinkMTU,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Taints    []Taint           `json:"taints,omitempty"`
	// Devices maps extended resources to how many the node has.
	Devices map[string]int `json:"devices,omitempty"`
	// EvictionHard, EvictionSoft and EvictionGrace are the kubelet's thresholds; all empty means its defaults.
	EvictionHard  map[string]string `json:"evictionHard,omitempty"`
	EvictionSoft  map[string]string `json:"evictionSoft,omitempty"`
	EvictionGrace map[string]string `json:"evictionGrace,omitempty"`
	// KubeletPort is the host port on 127.0.0.1 behind Address:10250 of the userspace network.
	KubeletPort int `json:"kubeletPort"`
	// Loopback is this node's own 127.0.0.x address: the chaos daemon listens there on Ports.ChaosDaemon.
	Loopback netip.Addr `json:"loopback"`
}

// Taint is a taint that the node registers with.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

// Timing holds control-loop periods. Fast makes consequences show in seconds; Production holds upstream's defaults.
type Timing struct {
	NodeStatusUpdate     time.Duration `json:"nodeStatusUpdate"`
	NodeMonitorPeriod    time.Duration `json:"nodeMonitorPeriod"`
	NodeMonitorGrace     time.Duration `json:"nodeMonitorGrace"`
	EvictionTolerance    time.Duration `json:"evictionTolerance"`
	NodeLeaseSeconds     int32         `json:"nodeLeaseSeconds"`
	CrashBackoffMax      time.Duration `json:"crashBackoffMax"`
	HPASync              time.Duration `json:"hpaSync"`
	EndpointBatch        time.Duration `json:"endpointBatch"`
	PLEGRelist           time.Duration `json:"plegRelist"`
	PodSync              time.Duration `json:"podSync"`
	VolumeSync           time.Duration `json:"volumeSync"`
	ImagePullBackoffMax  time.Duration `json:"imagePullBackoffMax"`
	HousekeepingInterval time.Duration `json:"housekeepingInterval"`
	// DNSReload is how often CoreDNS looks whether its Corefile has changed, in whole seconds, at least 2 s.
	DNSReload time.Duration `json:"dnsReload"`
}

// Fast is the default timing: the same loops, with periods that fit a trial of a minute.
func Fast() Timing {
	return Timing{
		NodeStatusUpdate: 2 * time.Second, NodeMonitorPeriod: time.Second, NodeMonitorGrace: 8 * time.Second,
		EvictionTolerance: 10 * time.Second, NodeLeaseSeconds: 8, CrashBackoffMax: 10 * time.Second,
		HPASync: 3 * time.Second, EndpointBatch: 0, PLEGRelist: 250 * time.Millisecond, PodSync: 5 * time.Second,
		VolumeSync: 2 * time.Second, ImagePullBackoffMax: 15 * time.Second, HousekeepingInterval: time.Second,
		DNSReload: 2 * time.Second,
	}
}

// Production is Kubernetes' own timing.
func Production() Timing {
	return Timing{
		NodeStatusUpdate: 10 * time.Second, NodeMonitorPeriod: 5 * time.Second, NodeMonitorGrace: 50 * time.Second,
		EvictionTolerance: 300 * time.Second, NodeLeaseSeconds: 40, CrashBackoffMax: 300 * time.Second,
		HPASync: 15 * time.Second, EndpointBatch: 0, PLEGRelist: time.Second, PodSync: time.Minute,
		VolumeSync: time.Minute, ImagePullBackoffMax: 300 * time.Second, HousekeepingInterval: 10 * time.Second,
		DNSReload: 30 * time.Second,
	}
}

// Load reads the cluster.json at path.
func Load(path string) (*Cluster, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read cluster spec: %w", err)
	}
	c := &Cluster{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("decode cluster spec %s: %w", path, err)
	}
	return c, nil
}

// Save writes the spec as cluster.json into its Dir.
func (c *Cluster) Save() error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("encode cluster spec: %w", err)
	}
	if err := os.WriteFile(c.File(), data, 0o600); err != nil {
		return fmt.Errorf("write cluster spec: %w", err)
	}
	return nil
}

// Node returns the node called name.
func (c *Cluster) Node(name string) (Node, error) {
	i := slices.IndexFunc(c.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return Node{}, fmt.Errorf("find node %q in cluster %q: no such node", name, c.Name)
	}
	return c.Nodes[i], nil
}

// File is the path of the spec itself.
func (c *Cluster) File() string { return filepath.Join(c.Dir, "cluster.json") }

// PKI is the directory of the certificates and keys that the parent made.
func (c *Cluster) PKI() string { return filepath.Join(c.Dir, "pki") }

// Kubeconfig is the path of a component's kubeconfig: admin, controller-manager, scheduler, or a node's name.
func (c *Cluster) Kubeconfig(component string) string {
	return filepath.Join(c.Dir, "kubeconfig", component)
}

// NodeDir is the directory that belongs to one node: containers, volumes, logs.
func (c *Cluster) NodeDir(node string) string { return filepath.Join(c.Dir, "nodes", node) }

// WireSocket is the unix socket on which a node takes packets from the others.
func (c *Cluster) WireSocket(node string) string { return filepath.Join(c.Dir, "s", node+".wire") }

// EgressSocket is the unix socket through which the control plane dials into a node's userspace network
// (HTTP CONNECT; the dial is made from the node's own address).
func (c *Cluster) EgressSocket(node string) string {
	return filepath.Join(c.Dir, "s", node+".egress")
}

// What a node takes on its control socket: POST to one of these paths.
const (
	StopKubelet  = "/kubelet/stop"
	StartKubelet = "/kubelet/start"
	// SetDevice takes the query parameters resource, device (empty means all) and health (Healthy, Unhealthy).
	SetDevice = "/device"
	// SetClock takes the query parameter offset, a duration that the node's clock is ahead of the true time.
	SetClock = "/clock"
)

// ControlSocket is the unix socket on which a node takes orders from the parent.
func (c *Cluster) ControlSocket(node string) string {
	return filepath.Join(c.Dir, "s", node+".ctl")
}

// DeviceSocket is the unix socket on which a node's kubelet takes registrations of device plugins. Its directory is for them alone.
func (c *Cluster) DeviceSocket(node string) string {
	return filepath.Join(c.Dir, "s", node+".dp", "kubelet.sock")
}
