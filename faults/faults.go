// Package faults holds what goes wrong: the Fault seam, its registry and the catalogue of declarative faults.
package faults

import (
	"context"
	"log/slog"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
)

// Fault is one thing that can be wrong with a system. A value is bound to its target: parameters are resolved before it
// is made. Methods are called one at a time.
type Fault interface {
	// Inject makes the fault live. It returns when the change is accepted, not when its effect shows. Calling it again
	// after a failure is safe.
	Inject(ctx context.Context, env Env) error
	// Probe reports whether the fault's own condition holds in the live system now (the port is wrong, the grant is
	// missing, the packets are delayed), read from the system and not remembered. An error means that it cannot be told.
	Probe(ctx context.Context, env Env) (State, error)
	// Recover removes what Inject did, also after an agent has repaired some or all of it. nil means that nothing is left.
	Recover(ctx context.Context, env Env) error
}

// Demanding is a Fault whose spec says by itself what it requires of a cluster.
type Demanding interface {
	// Requires returns names of capabilities, besides those that the fault's file names.
	Requires() []string
}

// State is what Probe saw.
type State struct {
	Live bool `json:"live"`
	// Detail is one sentence of evidence, for example `Service hotel/geo targetPort is 8099, want 8083`.
	Detail string `json:"detail"`
}

// Env is what a fault acts through. Every field is set.
type Env struct {
	Kubernetes kubernetes.Interface
	Dynamic    dynamic.Interface
	REST       *rest.Config
	// Namespace is where the application runs.
	Namespace string
	// ChaosNamespace is where Chaos Mesh objects go: one that the agent cannot see.
	ChaosNamespace string
	// State is the fault's own memory between Inject and Recover (the value before the change); it is stored with the trial.
	State map[string]string
	Clock clock.Clock
	Log   *slog.Logger
}
