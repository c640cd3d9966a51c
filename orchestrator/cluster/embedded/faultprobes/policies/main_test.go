package policies

import (
	"os"
	"testing"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

// fixture is the cluster of all tests of policies.
var fixture = clustertest.New(&embedded.Provider{}, cluster.Spec{Nodes: 3})

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }
