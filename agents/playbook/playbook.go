// Package playbook is the agent that works by rules: a triage playbook over cluster state, alerts, metrics, logs and traces, as
// teams write them down, with no language model. It is the cheap baseline of every suite: it knows the common faults and misses
// the rest.
//
// It looks several times. A look asks for the alerts and for the golden signals over a window; only where these show something
// does it read logs, the traffic between services and traces. What is plainly declared wrong is believed at once, what is
// concluded from behaviour only when a second look concludes the same, and symptoms that nothing explains only when they stay.
package playbook

import (
	"cmp"
	"context"
	"slices"

	"github.com/gameday-bench/gameday/agents"
)

const (
	// maxLooks is how often it looks at most, pause how many seconds lie between two looks.
	maxLooks = 8
	pause    = 8.0
	// calmLooks in a row without a symptom mean that nothing is wrong. Together they are longer than any alert waits.
	calmLooks = 4
	// stayingLooks in a row with a symptom mean that something is wrong, even if no rule says what.
	stayingLooks = 4
	// confirmations is how many looks must say the same before what was concluded from behaviour is believed.
	confirmations = 2
	// lookCost and answerCost are how many steps a look and the answer with its repair may need.
	lookCost, answerCost = 14, 9
)

// certain is the weight from which on a finding needs no second look: it is read, not concluded.
const certain = 85

// Agent plays the playbook.
type Agent struct{}

var _ agents.Agent = Agent{}

// finding is what a rule suspects.
type finding struct {
	// weight says how sure the rule is; the heaviest finding is believed.
	weight     int
	components []agents.Component
	mechanism  mechanism
	field      string
	why        string
	// repair are kubectl command lines; none where the playbook knows no repair.
	repair []string
}

// same is true of findings that say the same is wrong with the same component.
func (f finding) same(g finding) bool {
	return f.mechanism == g.mechanism && f.components[0] == g.components[0]
}

// rule looks for one kind of fault.
type rule func(ctx context.Context, s *scene) ([]finding, error)

// rules are all rules. Those over declared state need no symptom; those over behaviour look where an alert or a signal points.
func rules() []rule {
	return []rule{
		nodesReady, replicasZero, targetPorts, podsBroken,
		storeRefuses, deniedInLogs, outOfMemory, recentRollout, slowNode, throttled, unreachableStore, probesFail, poolUsedUp, replicasMissing,
	}
}

// Solve looks, decides, repairs and answers.
func (Agent) Solve(ctx context.Context, brief agents.Brief, cloud agents.Cloud) error {
	s := &scene{brief: brief, cloud: cloud}
	found, anomaly, err := s.look(ctx)
	if err != nil {
		return err
	}
	return s.answer(ctx, found, anomaly)
}

// look looks until it is sure, and returns what it believes, the heaviest first, and whether something is wrong.
func (s *scene) look(ctx context.Context) (found []finding, anomaly bool, err error) {
	var tops []finding
	looks, suspicious, calm, staying := 0, 0, 0, 0
	for looks < maxLooks && (looks == 0 || s.affords(lookCost+answerCost)) {
		if looks > 0 {
			if _, err := s.do(ctx, "wait", map[string]any{"seconds": pause}); err != nil {
				return nil, false, err
			}
		}
		looks++
		if found, err = s.once(ctx, len(found) > 0); err != nil {
			return nil, false, err
		}
		if !s.symptoms() && len(found) == 0 {
			staying = 0
			if calm++; calm == calmLooks {
				return nil, false, nil
			}
			continue
		}
		calm, suspicious, staying = 0, suspicious+1, staying+1
		if len(found) > 0 {
			top := found[0]
			tops = append(tops, top)
			if top.weight >= certain || count(tops, top) == confirmations {
				return found, true, nil
			}
		}
		if staying == stayingLooks {
			return found, true, nil
		}
	}
	// It has looked as often as it may, and saw now this, now that.
	return found, 2*suspicious >= looks, nil
}

// count is how many of the findings say the same as f.
func count(findings []finding, f finding) int {
	n := 0
	for _, g := range findings {
		if f.same(g) {
			n++
		}
	}
	return n
}

// once loads the scene and asks every rule. confirm is true when the last look found something.
func (s *scene) once(ctx context.Context, confirm bool) ([]finding, error) {
	if err := s.load(ctx, confirm); err != nil {
		return nil, err
	}
	var found []finding
	for _, r := range rules() {
		more, err := r(ctx, s)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	slices.SortStableFunc(found, func(a, b finding) int { return cmp.Compare(b.weight, a.weight) })
	return found, nil
}
