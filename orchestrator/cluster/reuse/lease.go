package reuse

import (
	"context"
	"sync"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// lease is a cluster during one trial.
type lease struct {
	cluster.Cluster
	provider *Provider
	kept     *kept

	mu sync.Mutex
	// touched says what was done that cannot be proven to be undone, "" where nothing was.
	touched string
	ended   bool
	err     error
}

// Down implements cluster.Cluster: it gives the cluster back, once.
func (l *lease) Down(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		l.err = l.provider.giveBack(ctx, l.kept, l.touched)
	}
	return l.err
}

func (l *lease) touch(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.touched = what
}

// equipped are clusters with the capabilities that a lease can pass on. What a cluster can do is found by type assertion: a lease must not
// claim what its cluster cannot.
type equipped interface {
	cluster.Cluster
	cluster.NodeController
	cluster.KubeletController
	cluster.ImageLoader
	cluster.LogCollector
}

// equippedLease is a lease of a cluster with all these capabilities.
type equippedLease struct {
	*lease
	cluster.ImageLoader
	cluster.LogCollector
	base equipped
}

var _ equipped = (*equippedLease)(nil)

// newLease hands a cluster out.
func newLease(p *Provider, k *kept) cluster.Cluster {
	l := &lease{Cluster: k.cluster, provider: p, kept: k}
	base, ok := k.cluster.(equipped)
	if !ok {
		return l
	}
	return &equippedLease{lease: l, ImageLoader: base, LogCollector: base, base: base}
}

// Images are what the cluster says of the images that its pods are made from; nil where it says nothing.
func (l *equippedLease) Images() map[string]string {
	if reporter, ok := l.base.(interface{ Images() map[string]string }); ok {
		return reporter.Images()
	}
	return nil
}

// CrashNode implements cluster.NodeController. What was on a node that failed cannot be told from outside: the cluster is not used again.
func (l *equippedLease) CrashNode(ctx context.Context, node string) error {
	l.touch("node " + node + " was crashed")
	return l.base.CrashNode(ctx, node)
}

// HangNode implements cluster.NodeController.
func (l *equippedLease) HangNode(ctx context.Context, node string) error {
	l.touch("node " + node + " was hung")
	return l.base.HangNode(ctx, node)
}

// RestartNode implements cluster.NodeController.
func (l *equippedLease) RestartNode(ctx context.Context, node string) error {
	l.touch("node " + node + " was restarted")
	return l.base.RestartNode(ctx, node)
}

// StopKubelet implements cluster.KubeletController.
func (l *equippedLease) StopKubelet(ctx context.Context, node string) error {
	l.touch("the kubelet of node " + node + " was stopped")
	return l.base.StopKubelet(ctx, node)
}

// StartKubelet implements cluster.KubeletController.
func (l *equippedLease) StartKubelet(ctx context.Context, node string) error {
	return l.base.StartKubelet(ctx, node)
}
