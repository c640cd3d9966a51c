// Package reuse hands out one cluster again and again: what a trial has made is removed at its end, and only a cluster that is then proven
// to be what it was at first is handed out again. Trials that run at the same time have clusters of their own.
package reuse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/inventory"
)

// Maker makes the clusters that are handed out.
type Maker interface {
	cluster.Provider
	// Capabilities are the names of what faults may require of the clusters; see package faults.
	Capabilities() []string
}

// Provider implements cluster.Provider over another one. Its clusters live until Close. The fields are set before the first call; methods
// are safe for concurrent use.
type Provider struct {
	Base Maker
	// Log takes what is worth telling; nil discards it. Clock tells the time; nil means the real one.
	Log   *slog.Logger
	Clock clock.WithTicker

	connect func(*rest.Config) (dynamic.Interface, inventory.Lister, error) // nil means the cluster itself

	mu   sync.Mutex
	kept []*kept
}

var (
	_ cluster.Provider  = (*Provider)(nil)
	_ cluster.Capable   = (*Provider)(nil)
	_ cluster.Explainer = (*Provider)(nil)
	_ cluster.Keeper    = (*Provider)(nil)
)

// kept is one cluster that is handed out.
type kept struct {
	cluster   cluster.Cluster
	spec      cluster.Spec
	client    dynamic.Interface
	resources map[schema.GroupVersionResource]string
	// first is what it held before its first trial.
	first *inventory.Whole
	// took is how long it took to come up.
	took time.Duration
	busy bool // guarded by the provider's lock
}

// Capabilities are those of the clusters that are handed out.
func (p *Provider) Capabilities() []string { return p.Base.Capabilities() }

// WhyNot implements cluster.Explainer, as far as the base does.
func (p *Provider) WhyNot(capability string) string {
	if e, ok := p.Base.(cluster.Explainer); ok {
		return e.WhyNot(capability)
	}
	return ""
}

// Up implements cluster.Provider: it returns a cluster of this spec that nobody uses, or brings one up. A cluster with a name is not handed out
// again. The cluster's Down gives it back.
func (p *Provider) Up(ctx context.Context, want cluster.Spec) (cluster.Cluster, error) {
	if want.Name != "" {
		return p.Base.Up(ctx, want)
	}
	for {
		k := p.take(want)
		if k == nil {
			break
		}
		err := k.cluster.Err()
		if err == nil {
			p.log().InfoContext(ctx, "using a cluster again", "cluster", k.cluster.Name())
			return newLease(p, k), nil
		}
		p.log().WarnContext(ctx, "a cluster broke down between trials", "cluster", k.cluster.Name(), "error", err)
		if err := p.discard(ctx, k); err != nil {
			return nil, err
		}
	}
	began := p.clock().Now()
	c, err := p.Base.Up(ctx, want)
	if err != nil {
		return nil, err
	}
	k, err := p.keep(ctx, c, want, p.clock().Since(began).Round(time.Second))
	if err != nil {
		err = errs.With(errs.Infra, fmt.Errorf("see what is on the new cluster: %w", err))
		return nil, errors.Join(err, c.Down(context.WithoutCancel(ctx)))
	}
	return newLease(p, k), nil
}

// take returns a cluster of this spec that nobody uses, and marks it as used; nil where there is none.
func (p *Provider) take(want cluster.Spec) *kept {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.kept {
		if !k.busy && reflect.DeepEqual(k.spec, want) {
			k.busy = true
			return k
		}
	}
	return nil
}

// keep remembers a new cluster, with what is on it and how long it took to come up.
func (p *Provider) keep(ctx context.Context, c cluster.Cluster, spec cluster.Spec, took time.Duration) (*kept, error) {
	connect := p.connect
	if connect == nil {
		connect = dial
	}
	client, lister, err := connect(c.RESTConfig())
	if err != nil {
		return nil, err
	}
	k := &kept{cluster: c, spec: spec, client: client, took: took, busy: true}
	if k.resources, err = inventory.Resources(lister); err != nil {
		return nil, err
	}
	if k.first, err = inventory.TakeWhole(ctx, client, k.resources); err != nil {
		return nil, err
	}
	k.first.Settle() // The canary of Chaos Mesh may be on its way out.
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = append(p.kept, k)
	return k, nil
}

func dial(config *rest.Config) (dynamic.Interface, inventory.Lister, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("make dynamic client: %w", err)
	}
	lister, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("make discovery client: %w", err)
	}
	return client, lister, nil
}

// giveBack ends a trial's use of a cluster. touched says why the cluster cannot be proven to be what it was, where that is so. The error is
// for a cluster that could not be taken down.
func (p *Provider) giveBack(ctx context.Context, k *kept, touched string) error {
	if touched != "" {
		p.log().InfoContext(ctx, "a cluster is not used again", "cluster", k.cluster.Name(), "reason", touched)
		return p.discard(ctx, k)
	}
	if err := k.clean(ctx, p.clock()); err != nil {
		p.log().WarnContext(ctx, "a cluster is not used again", "cluster", k.cluster.Name(), "reason", err)
		return p.discard(ctx, k)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	k.busy = false
	return nil
}

// discard takes a cluster down for good.
func (p *Provider) discard(ctx context.Context, k *kept) error {
	p.mu.Lock()
	p.kept = slices.DeleteFunc(p.kept, func(other *kept) bool { return other == k })
	p.mu.Unlock()
	return k.cluster.Down(context.WithoutCancel(ctx))
}

// Close takes every cluster down. It is idempotent, and safe when no cluster was ever up; the provider can be used again. An error names what
// is left behind.
func (p *Provider) Close(ctx context.Context) error {
	p.mu.Lock()
	all := p.kept
	p.kept = nil
	p.mu.Unlock()
	failures := make([]error, len(all))
	var group sync.WaitGroup
	for i, k := range all {
		group.Go(func() { failures[i] = k.cluster.Down(context.WithoutCancel(ctx)) })
	}
	group.Wait()
	return errors.Join(failures...)
}

func (p *Provider) log() *slog.Logger {
	if p.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Log
}

func (p *Provider) clock() clock.WithTicker {
	if p.Clock == nil {
		return clock.RealClock{}
	}
	return p.Clock
}
