package all

import (
	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/agents/random"
)

func init() {
	agents.MustRegister(agents.Info{
		Name: "random", Description: "Guesses valid answers from what the cluster lists, by its seed. The chance level.",
		Origin: "agents/random",
	}, func(p agents.Params) (agents.Agent, error) { return random.New(p.Seed), nil })
}
