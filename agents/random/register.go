package random

import "github.com/gameday-bench/gameday/agents"

func init() {
	agents.MustRegister(agents.Info{
		Name: "random", Description: "Guesses valid answers from what the cluster lists, by its seed. The chance level.", Origin: "agents/random",
	}, func(p agents.Params) (agents.Agent, error) { return New(p.Seed), nil })
}
