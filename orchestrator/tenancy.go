package orchestrator

import (
	"context"
	"fmt"
	"slices"

	"github.com/gameday-bench/gameday/orchestrator/aci/proxy"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/inventory"
)

// chaosNamespace holds Chaos Mesh's objects where the whole cluster is the trial's; agents cannot see it.
const chaosNamespace = "chaos-mesh"

// tenancyOf is what holds for a trial on a cluster; nil where the whole cluster is the trial's.
func tenancyOf(c cluster.Cluster) *cluster.Tenancy {
	tenant, ok := c.(cluster.Tenant)
	if !ok {
		return nil
	}
	t := tenant.Tenancy()
	return &t
}

// chaosIn is the namespace for objects of Chaos Mesh.
func (e *environment) chaosIn() string {
	if e.tenancy == nil {
		return chaosNamespace
	}
	return e.tenancy.ChaosNamespace
}

// hidden says what agents do not see. On a shared cluster that is everything but what was deployed for the trial.
func (e *environment) hidden() proxy.Rules {
	if e.tenancy == nil {
		return proxy.DefaultRules()
	}
	rules := proxy.DefaultRules(append([]string{e.tenancy.ChaosNamespace}, e.tenancy.Hidden...)...)
	rules.Only = e.namespaces()
	return rules
}

// takeInventory reads what is held against the baseline: the whole cluster but for what agents cannot see, or, on a shared one,
// what they can touch.
func (e *environment) takeInventory(ctx context.Context) (inventory.Inventory, error) {
	take, namespaces := inventory.TakeCluster, e.hidden().Namespaces
	if e.tenancy != nil {
		take, namespaces = inventory.Take, e.namespaces()
	}
	out, err := take(ctx, e.dynamic, namespaces...)
	if err != nil {
		return nil, fmt.Errorf("take inventory: %w", err)
	}
	return out, nil
}

// answerable drops changes that the agent cannot have made: on a shared cluster others work, too, and an agent can touch
// nothing there but the trial's namespaces and whether a node takes pods.
func (e *environment) answerable(changes []inventory.Change) []inventory.Change {
	if e.tenancy == nil {
		return changes
	}
	own := e.namespaces()
	return slices.DeleteFunc(changes, func(c inventory.Change) bool {
		return !slices.Contains(own, c.Key.Namespace) && (c.Key.Kind != "Node" || c.Field != "spec.unschedulable")
	})
}
