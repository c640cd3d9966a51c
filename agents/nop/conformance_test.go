package nop_test

import (
	"testing"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/agents/nop"
)

func TestConformance(t *testing.T) {
	agentstest.Run(t, func(*testing.T) agents.Agent { return nop.Agent{} })
}
