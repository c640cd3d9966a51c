package orchestrator

import (
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/results"
)

// recordImages puts what images a cluster's pods are made from into run.json, where the cluster knows. On the embedded cluster
// the version of the tool says it all.
func recordImages(store *results.Store, c cluster.Cluster) error {
	reporter, ok := c.(cluster.ImageReporter)
	if !ok {
		return nil
	}
	return store.RecordImages(reporter.Images())
}
