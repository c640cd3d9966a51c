package faults

// What only some clusters can do. A fault names what it requires in its fault.yaml; a provider of clusters names what it has.
const (
	NodeFailure     = "node-failure"
	KubeletFailure  = "kubelet-failure"
	NodeClock       = "node-clock"
	DeviceHealth    = "device-health"
	NodeScheduling  = "node-scheduling"
	SystemNamespace = "system-namespace"
	CustomMetrics   = "custom-metrics"
	// What Chaos Mesh needs programs of their own for: see package faults/chaosmesh.
	HTTPChaos = "http-chaos"
	IOChaos   = "io-chaos"
	DNSChaos  = "dns-chaos"
	// What Chaos Mesh has the kernel of a node do, by the names of the packet schedulers as tc(8) has them.
	Netem = "netem"
	TBF   = "tbf"
)

// Capability is something that only some clusters can do.
type Capability struct {
	Name string `json:"name"`
	// Meaning completes the sentence: on such a cluster, ...
	Meaning string `json:"meaning"`
}

// Capabilities returns all that can be required.
func Capabilities() []Capability {
	return []Capability{
		{NodeFailure, "nodes can crash, hang and come back"},
		{KubeletFailure, "a node's kubelet can fail alone"},
		{NodeClock, "the clock of a node can be wrong"},
		{DeviceHealth, "devices of a node can be sick"},
		{NodeScheduling, "nodes may be cordoned and drained, which is how an agent repairs a bad node"},
		{SystemNamespace, "what is in kube-system may be changed"},
		{CustomMetrics, "autoscalers get metrics of applications"},
		{HTTPChaos, "Chaos Mesh can change HTTP requests and answers"},
		{IOChaos, "Chaos Mesh can make file systems slow or fail"},
		{DNSChaos, "Chaos Mesh can make names fail to resolve"},
		{Netem, "packets can be late, lost, doubled, damaged and out of order, which is the work of the kernel's packet scheduler netem"},
		{TBF, "the bandwidth of pods can be limited, which is the work of the kernel's packet scheduler tbf"},
	}
}

// CapabilityNames returns the names of all capabilities.
func CapabilityNames() []string {
	var out []string
	for _, c := range Capabilities() {
		out = append(out, c.Name)
	}
	return out
}

// Meaning returns what a capability is; its name where it is not known.
func Meaning(capability string) string {
	for _, c := range Capabilities() {
		if c.Name == capability {
			return c.Meaning
		}
	}
	return capability
}
