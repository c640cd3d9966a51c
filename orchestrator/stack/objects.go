package stack

import (
	"fmt"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/load"
	"github.com/gameday-bench/gameday/workloads/monitoring"
	"github.com/gameday-bench/gameday/workloads/objects"
)

// Objects returns everything that a stack makes on a cluster with this tenancy: what a cluster must allow and have room for. A
// nil app is the instruments alone. Of the load profiles it takes the first: they differ in rates only. No cluster is needed.
func Objects(app *workloads.Definition, namespace string, tenancy *cluster.Tenancy) (objects.Set, error) {
	p := Params{App: app, Namespace: namespace, Tenancy: tenancy}
	all, err := p.monitoring().Objects(monitoring.Namespace)
	if err != nil {
		return nil, fmt.Errorf("read the objects of monitoring: %w", err)
	}
	if app == nil {
		return all, nil
	}
	made, err := app.App(nil)
	if err != nil {
		return nil, err
	}
	if lister, ok := made.(interface {
		Objects(namespace string) (objects.Set, error)
	}); ok {
		set, err := lister.Objects(namespace)
		if err != nil {
			return nil, fmt.Errorf("read the objects of app %s: %w", app.ID, err)
		}
		all = append(all, set...)
	}
	if names := app.ProfileNames(); len(names) > 0 {
		set, err := load.New(app.Profiles[names[0]], namespace).Objects(load.Namespace)
		if err != nil {
			return nil, fmt.Errorf("read the objects of load profile %s: %w", names[0], err)
		}
		all = append(all, set...)
	}
	return all.PullFrom(p.registry()), nil
}
