// Package embedded brings up the embedded cluster: a real Kubernetes control plane and real kubelets as child processes,
// with containers that are processes and a network that is userspace. Nothing needs to be installed, and no privilege.
//
// This package is the parent's side and light; what it starts is cmd/gameday-cluster.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/random"
	"github.com/gameday-bench/gameday/internal/scratch"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/pki"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
)

// upTimeout bounds the start of a cluster. It is ready in seconds on two idle cores; a loaded machine gets the rest.
const upTimeout = 2 * time.Minute

// stopGrace is how long a process may take to stop in order before it is killed.
const stopGrace = 1200 * time.Millisecond

// Provider implements cluster.Provider. The zero value is ready to use.
type Provider struct {
	// Binaries are the executables; the zero value means FindBinaries.
	Binaries Binaries
	// Log takes what is worth telling; nil discards it.
	Log *slog.Logger
}

var (
	_ cluster.Provider          = (*Provider)(nil)
	_ cluster.NodeController    = (*Cluster)(nil)
	_ cluster.KubeletController = (*Cluster)(nil)
	_ cluster.ClockController   = (*Cluster)(nil)
	_ cluster.DeviceController  = (*Cluster)(nil)
	_ cluster.LogCollector      = (*Cluster)(nil)
)

// Cluster is one running embedded cluster.
type Cluster struct {
	spec   *spec.Cluster
	binary string
	rest   *rest.Config
	log    *slog.Logger
	dir    *scratch.Dir
	ports  lease
	done   chan struct{}
	down   func() error

	mu        sync.Mutex
	processes map[string]*process // by name: control-plane, node-1, ...
	expected  map[*process]bool   // processes that we ended ourselves
	err       error
}

// Up implements cluster.Provider.
func (p *Provider) Up(ctx context.Context, want cluster.Spec) (cluster.Cluster, error) {
	c, err := p.up(ctx, want)
	if err != nil {
		err = explainLimit(err)
		if errs.PartyOf(err) == "" {
			err = errs.With(errs.Infra, err)
		}
		return nil, fmt.Errorf("bring up embedded cluster: %w", err)
	}
	return c, nil
}

func (p *Provider) up(ctx context.Context, want cluster.Spec) (*Cluster, error) {
	binaries := p.Binaries
	if binaries.Cluster == "" {
		found, err := FindBinaries()
		if err != nil {
			return nil, err
		}
		binaries = found
	}
	log := p.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c, err := prepare(want, binaries, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Down(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// prepare makes the cluster's directory with everything in it; no process of the cluster runs yet.
func prepare(want cluster.Spec, binaries Binaries, log *slog.Logger) (*Cluster, error) {
	if want.Name == "" {
		want.Name = "c-" + random.Hex(4)
	}
	s, err := plan(want, filepath.Join(BaseDir(), want.Name), binaries.Programs)
	if err != nil {
		return nil, err
	}
	made, err := record.Make(want.Name)
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		spec: s, binary: binaries.Cluster, log: log, dir: made, done: make(chan struct{}),
		processes: map[string]*process{}, expected: map[*process]bool{},
	}
	c.down = sync.OnceValue(c.tearDown)
	if c.ports, err = leasePorts(s); err != nil {
		return nil, errors.Join(err, c.down())
	}
	if err := c.populate(); err != nil {
		return nil, errors.Join(err, c.down())
	}
	return c, nil
}

func (c *Cluster) populate() error {
	for _, dir := range []string{"s", "logs", "tmp", "nodes"} {
		if err := os.Mkdir(filepath.Join(c.spec.Dir, dir), 0o700); err != nil {
			return fmt.Errorf("make directory of the cluster: %w", err)
		}
	}
	if err := pki.Write(c.spec, time.Now()); err != nil {
		return err
	}
	if err := c.spec.Save(); err != nil {
		return err
	}
	if err := record.Own(c.spec.Dir, record.Claim{Kind: record.Embedded}); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("load kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 500, 1000
	c.rest = config
	return nil
}

// start runs every process at once and waits until all are ready.
func (c *Cluster) start(ctx context.Context) error {
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range c.processNames() {
		p, err := c.launch(name)
		if err != nil {
			return err
		}
		group.Go(func() error { return p.waitReady(ctx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	c.log.Info("cluster ready", "cluster", c.spec.Name, "nodes", len(c.spec.Nodes), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

const controlPlane = "control-plane"

func (c *Cluster) processNames() []string {
	names := []string{controlPlane}
	for _, n := range c.spec.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// launch starts one process and watches for its unexpected end.
func (c *Cluster) launch(name string) (*process, error) {
	args := []string{"control-plane", "--spec", c.spec.File()}
	if name != controlPlane {
		args = []string{"node", "--spec", c.spec.File(), "--name", name}
	}
	p, err := startProcess(name, c.binary, args, c.spec.Dir, filepath.Join(c.spec.Dir, "logs", name+".log"))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.processes[name] = p
	c.mu.Unlock()
	go func() {
		<-p.exited
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.expected[p] || c.err != nil {
			return
		}
		c.err = errs.With(errs.Infra, p.death())
		close(c.done)
	}()
	return p, nil
}

// Name implements cluster.Cluster.
func (c *Cluster) Name() string { return c.spec.Name }

// Spec is the cluster's plan; callers do not change it.
func (c *Cluster) Spec() *spec.Cluster { return c.spec }

// RESTConfig implements cluster.Cluster.
func (c *Cluster) RESTConfig() *rest.Config { return rest.CopyConfig(c.rest) }

// Kubeconfig implements cluster.Cluster.
func (c *Cluster) Kubeconfig() string { return c.spec.Kubeconfig("admin") }

// Done implements cluster.Cluster.
func (c *Cluster) Done() <-chan struct{} { return c.done }

// Err implements cluster.Cluster.
func (c *Cluster) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// PIDs returns the process ids of the cluster's own processes by name, for measurements.
func (c *Cluster) PIDs() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]int{}
	for name, p := range c.processes {
		out[name] = p.cmd.Process.Pid
	}
	return out
}

// Down implements cluster.Cluster.
func (c *Cluster) Down(context.Context) error {
	if err := c.down(); err != nil {
		return errs.With(errs.Infra, fmt.Errorf("take down embedded cluster %s: %w", c.spec.Name, err))
	}
	return nil
}

func (c *Cluster) tearDown() error {
	c.mu.Lock()
	var wg sync.WaitGroup
	for _, p := range c.processes {
		c.expected[p] = true
		wg.Go(func() { p.stop(stopGrace) })
	}
	c.mu.Unlock()
	wg.Wait()
	c.ports.end()
	return c.dir.Remove()
}
