package all

import (
	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/nop"
)

func init() {
	agents.MustRegister(agents.Info{
		Name: "nop", Description: "Does nothing: submits that nothing is wrong. The lower bound.",
		Origin: "agents/nop",
	}, func(agents.Params) (agents.Agent, error) { return nop.Agent{}, nil })
}
