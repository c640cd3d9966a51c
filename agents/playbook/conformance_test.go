package playbook_test

import (
	"testing"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/agents/playbook"
)

func TestConformance(t *testing.T) {
	agentstest.Run(t, func(*testing.T) agents.Agent { return playbook.Agent{} })
}
