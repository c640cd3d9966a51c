// Package orchestrator runs trials: it brings up a cluster with an application under load, proves that it is healthy,
// injects the problem's faults, proves that they show, lets an agent work, takes evidence, grades, and cleans up.
package orchestrator

import "time"

// Observer is told what happens in a run.
type Observer interface {
	// Event is called for each event, in order within a trial, possibly from several goroutines at once. It must not block.
	Event(e Event)
}

// ObserverFunc lets a function be an Observer.
type ObserverFunc func(Event)

// Event implements Observer.
func (f ObserverFunc) Event(e Event) { f(e) }

// Observers tells each of several observers.
type Observers []Observer

// Event implements Observer.
func (o Observers) Event(e Event) {
	for _, each := range o {
		each.Event(e)
	}
}

// EventType says what an event is about.
type EventType string

// The closed set of event types.
const (
	RunStarted    EventType = "run_started"
	RunFinished   EventType = "run_finished"
	TrialStarted  EventType = "trial_started"
	TrialFinished EventType = "trial_finished"
	TrialRetried  EventType = "trial_retried"
	PhaseStarted  EventType = "phase_started"
	PhaseFinished EventType = "phase_finished"
	Note          EventType = "note"
)

// Event is one thing that happened. It is a line of events.jsonl.
type Event struct {
	Time time.Time `json:"time"`
	Type EventType `json:"type"`
	// Trial is the trial's path problem/agent/attempt, empty for events of the run.
	Trial string `json:"trial,omitempty"`
	// Phase is set for events of a phase.
	Phase   Phase  `json:"phase,omitempty"`
	Message string `json:"message,omitempty"`
	// Seconds is how long the phase or the trial took, for events that finish one.
	Seconds float64 `json:"seconds,omitempty"`
	Error   string  `json:"error,omitempty"`
	// Fields hold further figures, for example scores by task or total and done trials of the run.
	Fields map[string]any `json:"fields,omitempty"`
}

// Phase is one step of a trial.
type Phase string

// The phases of a trial, in order.
const (
	Provision Phase = "provision"
	Deploy    Phase = "deploy"
	Baseline  Phase = "baseline"
	Inject    Phase = "inject"
	FaultGate Phase = "fault-gate"
	Act       Phase = "act"
	Settle    Phase = "settle"
	Grade     Phase = "grade"
	Recover   Phase = "recover"
	Collect   Phase = "collect"
	Clean     Phase = "clean"
)

// deadlines bound each phase. The agent's budget bounds Act.
func deadlines() map[Phase]time.Duration {
	return map[Phase]time.Duration{
		// Nodes in containers take two minutes on two cores, Chaos Mesh among it, and twice that on slower ones.
		Provision: 10 * time.Minute,
		Deploy:    3 * time.Minute,
		Baseline:  90 * time.Second,
		Inject:    time.Minute,
		FaultGate: 90 * time.Second,
		Settle:    3 * time.Minute,
		Grade:     30 * time.Second,
		Recover:   time.Minute,
		Collect:   30 * time.Second,
		// Namespaces on a real cluster go when their last pod has had its grace period; a cluster that is not clean then is taken down.
		Clean: 5 * time.Minute,
	}
}
