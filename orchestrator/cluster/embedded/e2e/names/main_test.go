package names

import (
	"os"
	"testing"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

var fixture = clustertest.New(&embedded.Provider{}, cluster.Spec{Nodes: 2})

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }
