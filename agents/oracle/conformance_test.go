package oracle_test

import (
	"testing"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/agents/oracle"
)

func TestConformance(t *testing.T) {
	agentstest.Run(t, func(*testing.T) agents.Agent {
		return oracle.New(agents.Script{
			Submission: agents.Submission{
				Detection:    &agents.Detection{Anomaly: true},
				Localization: &agents.Localization{Components: []agents.Component{{Kind: "Node", Name: "node-1"}}},
				Mitigation:   &agents.Mitigation{},
			},
		})
	})
}
