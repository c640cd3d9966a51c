// Package stack puts an application on a cluster the way a trial has it: with its monitoring, and under load.
package stack

import (
	"context"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/load"
	"github.com/gameday-bench/gameday/workloads/monitoring"
)

// Params say what to put where.
type Params struct {
	App *workloads.Definition
	// Namespace is the application's.
	Namespace string
	// Profile is the name of one of the application's load profiles; Rate, when it is not 0, replaces its rate in requests
	// per second. Seed joins the profile's.
	Profile string
	Rate    float64
	Seed    int64
	REST    *rest.Config
	// Tenancy is what holds where the cluster has other users; nil where it has none.
	Tenancy *cluster.Tenancy
	Log     *slog.Logger
}

// registry is where images are pulled from.
func (p Params) registry() string {
	if p.Tenancy == nil {
		return ""
	}
	return p.Tenancy.Registry
}

// monitoring is the monitoring stack, which on a shared cluster keeps to what the stack deploys.
func (p Params) monitoring() *monitoring.Stack {
	s := monitoring.New(p.App, p.Namespace)
	if p.Tenancy != nil {
		s.Within(append(Instruments(), p.Namespace)...)
	}
	return s
}

// Stack is an application with monitoring and load. Methods are called one at a time.
type Stack struct {
	base    []part // at once
	traffic part   // after the base is ready
}

// part is one thing that is deployed, in its own namespace.
type part struct {
	name string
	app  workloads.App
	env  workloads.Env
}

// New prepares a stack; nothing is deployed yet.
func New(p Params) (*Stack, error) {
	kube, err := kubernetes.NewForConfig(p.REST)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	dyn, err := dynamic.NewForConfig(p.REST)
	if err != nil {
		return nil, fmt.Errorf("make dynamic client: %w", err)
	}
	in := func(namespace string) workloads.Env {
		return workloads.Env{Kubernetes: kube, Dynamic: dyn, REST: p.REST, Namespace: namespace, Registry: p.registry(), Log: p.Log}
	}
	app, err := p.App.App(nil)
	if err != nil {
		return nil, err
	}
	profile, ok := p.App.Profiles[p.Profile]
	if !ok {
		return nil, errs.Hint(errs.Newf(errs.Usage, "find load profile %q of app %s: no such profile", p.Profile, p.App.ID),
			"choose one of %v", p.App.ProfileNames())
	}
	if p.Rate > 0 {
		profile.Rate = p.Rate
	}
	profile.Seed += uint64(p.Seed)
	return &Stack{
		base: []part{
			{"monitoring", p.monitoring(), in(monitoring.Namespace)},
			{"app " + p.App.ID, app, in(p.Namespace)},
		},
		traffic: part{"load", load.New(profile, p.Namespace), in(load.Namespace)},
	}, nil
}

// Deploy brings up everything and returns when all of it is ready: the load starts last, on an application that can take it.
func (s *Stack) Deploy(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, p := range s.base {
		group.Go(func() error { return p.up(groupCtx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return s.traffic.up(ctx)
}

func (p part) up(ctx context.Context) error {
	if err := p.app.Deploy(ctx, p.env); err != nil {
		return fmt.Errorf("deploy %s: %w", p.name, err)
	}
	if err := p.app.Ready(ctx, p.env); err != nil {
		return fmt.Errorf("wait for %s: %w", p.name, err)
	}
	return nil
}

// Protected are the namespaces of the instruments, which are no part of what is measured.
func (s *Stack) Protected() []string { return Instruments() }

// Instruments are the namespaces of what measures and drives the application, the same for every stack.
func Instruments() []string { return []string{load.Namespace, monitoring.Namespace} }
