package all

import (
	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/playbook"
)

func init() {
	agents.MustRegister(agents.Info{
		Name: "playbook", Description: "Works by rules over cluster state, alerts, metrics, logs and traces; no language model. The cheap baseline.",
		Origin: "agents/playbook",
	}, func(agents.Params) (agents.Agent, error) { return playbook.Agent{}, nil })
}
