package all

import (
	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/oracle"
)

func init() {
	agents.MustRegister(agents.Info{
		Name: "oracle", Description: "Is handed the answer and the reference repair. The upper bound: it measures the harness.",
		Origin: "agents/oracle", NeedsScript: true,
	}, func(p agents.Params) (agents.Agent, error) { return oracle.New(*p.Script), nil })
}
