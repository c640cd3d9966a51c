package kind

import (
	"slices"

	"github.com/gameday-bench/gameday/faults"
)

// chaosKinds are the kinds of Chaos Mesh that need more than its daemon, by the capability that they are.
func chaosKinds() map[string]string {
	return map[string]string{faults.HTTPChaos: "HTTPChaos", faults.IOChaos: "IOChaos", faults.DNSChaos: "DNSChaos"}
}

// Capabilities implements cluster.Capable: all but what containers on one machine share, the clock, what they have none of, devices, and what
// the images of Chaos Mesh or the kernel lack. The kernel is taken to have everything until Prepare or Check has looked.
func (p *Provider) Capabilities() []string {
	out := []string{faults.NodeFailure, faults.KubeletFailure, faults.NodeScheduling, faults.SystemNamespace, faults.CustomMetrics}
	for _, name := range append([]string{faults.HTTPChaos, faults.IOChaos, faults.DNSChaos}, schedulers()...) {
		if p.WhyNot(name) == "" {
			out = append(out, name)
		}
	}
	return out
}

// WhyNot implements cluster.Explainer.
func (p *Provider) WhyNot(capability string) string {
	switch capability {
	case faults.NodeClock:
		return "nodes share the clock of the machine"
	case faults.DeviceHealth:
		return "nodes have no devices"
	case faults.DNSChaos:
		if !p.Chaos.DNSServer {
			return "the DNS server of Chaos Mesh is not installed"
		}
	case faults.Netem, faults.TBF:
		if why := p.kernel.whyNot(capability); why != "" {
			return "the kernel of the nodes does not have it: " + why
		}
	}
	if kind, ok := chaosKinds()[capability]; ok && slices.Contains(p.Chaos.Lacks(), kind) {
		return "Chaos Mesh's daemon was built without the program that does it, as its chart says; use the chart and the images of a release"
	}
	return ""
}
