package oracle

import "github.com/gameday-bench/gameday/agents"

func init() {
	agents.MustRegister(agents.Info{
		Name: "oracle", Description: "Is handed the answer and the reference repair. The upper bound: it measures the harness.",
		Origin: "agents/oracle", NeedsScript: true,
	}, func(p agents.Params) (agents.Agent, error) { return New(*p.Script), nil })
}
