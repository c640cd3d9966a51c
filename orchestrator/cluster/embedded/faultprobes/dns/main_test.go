package dns

import (
	"os"
	"testing"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

// rate is the load on the application, in requests per second: each service gets some within a scrape.
const rate = 30

// fixture is the cluster of all probes: they run one after the other, and each leaves the application healthy.
var fixture = clustertest.New(&embedded.Provider{}, cluster.Spec{Nodes: 3})

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }
