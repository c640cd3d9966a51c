package random_test

import (
	"testing"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/agentstest"
	"github.com/gameday-bench/gameday/agents/random"
)

func TestConformance(t *testing.T) {
	agentstest.Run(t, func(*testing.T) agents.Agent { return random.New(7) })
}
