package orchestrator

// digests are the hashes of everything that the trials are made from, by kind and name. What a resumed run finds changed among
// them makes it another run.
func (r *Runner) digests(config RunConfig) map[string]string {
	out := map[string]string{}
	if r.ScenarioDigest != "" {
		out["scenario/"+config.Scenario] = r.ScenarioDigest
	}
	for _, agent := range config.Agents {
		out["agent/"+agent] = r.agentDigest(agent)
	}
	for _, id := range config.Problems {
		problem, err := r.resolve(id, 0) // Which app and which faults a problem has does not depend on the seed.
		if err != nil {
			continue // A run is described once its names are known to resolve.
		}
		out["problem/"+id] = problem.entry.Digest
		out["app/"+problem.app.ID] = problem.app.Digest
		for _, ref := range problem.truth.Faults {
			if fault, err := r.Faults.Get(ref.ID); err == nil {
				out["fault/"+ref.ID] = fault.Digest
			}
		}
	}
	return out
}

func (r *Runner) agentDigest(name string) string {
	if r.AgentDigest == nil {
		return name
	}
	return r.AgentDigest(name)
}
