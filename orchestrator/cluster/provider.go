package cluster

import (
	"context"
	"slices"
)

// Capable is a Provider that says beforehand what its clusters can do. One that does not say can do everything.
type Capable interface {
	// Capabilities returns names as faults require them; see faults.Capabilities. It needs no cluster.
	Capabilities() []string
}

// Missing returns which of the required capabilities the clusters of p do not have, in the order in which they are required.
func Missing(p Provider, required []string) []string {
	capable, ok := p.(Capable)
	if !ok {
		return nil
	}
	var out []string
	for _, name := range required {
		if !slices.Contains(capable.Capabilities(), name) {
			out = append(out, name)
		}
	}
	return out
}

// Explainer is a Provider that can say why its clusters lack a capability.
type Explainer interface {
	// WhyNot returns the reason, for people; "" where there is nothing to say about it.
	WhyNot(capability string) string
}

// Limited is a Provider that can have only so many clusters at a time.
type Limited interface {
	// MaxClusters is how many clusters there can be at a time, at least 1.
	MaxClusters() int
}

// Describer is a Provider whose clusters are somewhere else.
type Describer interface {
	// Describe says in one line, for people, which cluster is meant and at what address. It speaks to nobody.
	Describe() string
}

// Keeper is a Provider that keeps something after a cluster's Down, for the next one.
type Keeper interface {
	// Close removes what is kept. It is idempotent, and safe when no cluster was ever up; the provider can be used again. An error
	// names what is left behind.
	Close(ctx context.Context) error
}

// Tenant is the capability of clusters that belong to somebody else: the trial is one of many users.
type Tenant interface {
	Tenancy() Tenancy
}

// Tenancy is what holds for a trial on somebody else's cluster. It keeps to namespaces that are made for it; everything else is
// neither changed nor shown to agents.
type Tenancy struct {
	// Registry holds the images, in place of the registry that manifests name; empty means that the nodes have them.
	Registry string
	// ChaosNamespace is where objects of Chaos Mesh are made. Hidden are further namespaces that agents do not see although
	// something of theirs shows in visible ones.
	ChaosNamespace string
	Hidden         []string
}
