package scenarios

import "github.com/gameday-bench/gameday/results"

// Trial is one planned trial.
type Trial struct {
	results.Key
	Seed int64
}

// Plan is what a run expands to.
type Plan struct {
	Problems []string
	Agents   []string
	Attempts int
	Seeds    []int64
	Twins    bool
}

// Trials lists the plan's trials: attempt by attempt, so that an interrupted run has whole rounds; within a round problem by
// problem, the twin after its problem, agent by agent.
func (p Plan) Trials() []Trial {
	var out []Trial
	for attempt := 1; attempt <= max(1, p.Attempts); attempt++ {
		for _, problem := range p.Problems {
			for _, twin := range []bool{false, true} {
				if twin && !p.Twins {
					continue
				}
				for _, agent := range p.Agents {
					out = append(out, Trial{
						Key:  results.Key{Problem: problem, Agent: agent, Attempt: attempt, Twin: twin},
						Seed: SeedFor(p.Seeds, attempt),
					})
				}
			}
		}
	}
	return out
}

// SeedFor returns the seed of an attempt (from 1): the seeds in turn; 0 where there are none.
func SeedFor(seeds []int64, attempt int) int64 {
	if len(seeds) == 0 {
		return 0
	}
	return seeds[(attempt-1)%len(seeds)]
}
