package kind

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	kindcluster "sigs.k8s.io/kind/pkg/cluster"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/random"
	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

const (
	// Kind is what records call clusters of this package.
	Kind = "kind"
	// createLimit bounds the making of the containers and of Kubernetes in them.
	createLimit = 8 * time.Minute
	// maxName leaves room for kind's endings in the 64 characters of a host's name.
	maxName = 34
)

// Provider implements cluster.Provider. The zero value makes bare clusters of the default node image with the first engine that answers.
// The fields are set before the first call; methods are safe for concurrent use.
type Provider struct {
	// Engine is one of Engines; empty means the first that answers.
	Engine string
	// NodeImage is the image of all nodes; empty means what Config says, and then DefaultNodeImage. An image that the engine does not have is pulled.
	NodeImage string
	// Config is a configuration file of kind's, which then says what nodes there are. It is only read.
	Config string
	// Images are the images of the programs that trials run; they are put on every node. nil puts none there.
	Images func() (*images.Set, error)
	// Chaos says how Chaos Mesh is installed. Its Images may also name an archive, which is put on every node.
	Chaos chaosmesh.Options
	// Log takes what is worth telling; nil discards it. Clock tells the time; nil means the real one.
	Log   *slog.Logger
	Clock clock.WithTicker

	kernel kernel // what Prepare and Check have found out
	mesh   mesh   // nil means package chaosmesh
	// chart looks whether the chart can be had; nil means chaosmesh.Options.Check, or CheckArchive where there is an archive.
	chart func(context.Context, chaosmesh.Options) error
}

var (
	_ cluster.Provider          = (*Provider)(nil)
	_ cluster.Capable           = (*Provider)(nil)
	_ cluster.Explainer         = (*Provider)(nil)
	_ cluster.NodeController    = (*Cluster)(nil)
	_ cluster.KubeletController = (*Cluster)(nil)
	_ cluster.ImageLoader       = (*Cluster)(nil)
	_ cluster.LogCollector      = (*Cluster)(nil)
)

// Up implements cluster.Provider. What would make it fail in the end is looked for before anything is made; such errors are of party infra
// and say what to do.
func (p *Provider) Up(ctx context.Context, want cluster.Spec) (cluster.Cluster, error) {
	c, err := p.up(ctx, want)
	if err != nil {
		if errs.PartyOf(err) == "" {
			err = errs.With(errs.Infra, err)
		}
		return nil, fmt.Errorf("bring up kind cluster: %w", err)
	}
	return c, nil
}

// Prepare pulls the node images that clusters like want need and the engine does not have, for as long as ctx lasts: the time that a cluster has
// to come up is not meant for that. It also finds out, once, what the kernel of the nodes cannot do, which Capabilities and WhyNot say from then
// on. Errors are those of Up, and as there, nothing is made then.
func (p *Provider) Prepare(ctx context.Context, want cluster.Spec) error {
	want.Name = "" // Whether it is free is for Up to see.
	s, err := p.prepare(ctx, want)
	if err == nil {
		err = p.lookAtKernel(ctx, s)
	}
	if err != nil {
		if errs.PartyOf(err) == "" {
			err = errs.With(errs.Infra, err)
		}
		return fmt.Errorf("prepare kind clusters: %w", err)
	}
	return nil
}

func (p *Provider) up(ctx context.Context, want cluster.Spec) (*Cluster, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if want.Name == "" {
		want.Name = "k-" + random.Hex(4)
	}
	if len(want.Name) > maxName {
		err := errs.Newf(errs.Usage, "make cluster %q: the name has %d characters", want.Name, len(want.Name))
		return nil, errs.Hint(err, "give it at most %d", maxName)
	}
	s, err := p.prepare(ctx, want)
	if err != nil {
		return nil, err
	}
	c, err := p.claim(s)
	if err != nil {
		return nil, err
	}
	began := c.clock.Now()
	if err := p.raise(ctx, c); err != nil {
		return nil, errors.Join(err, c.Down(context.WithoutCancel(ctx)))
	}
	took := c.clock.Since(began).Round(time.Millisecond)
	c.log.Info("cluster ready", "cluster", c.name, "nodes", len(c.layout.nodes), "engine", c.engine.name, "took", took)
	return c, nil
}

// prepare looks whether the cluster can be made, and sees that its node images are there. Nothing is made of the cluster itself.
func (p *Provider) prepare(ctx context.Context, want cluster.Spec) (*site, error) {
	s, checks, err := p.inspect(ctx, want, 1)
	if err != nil {
		return nil, err
	}
	if err := checkError(checks); err != nil {
		return nil, err
	}
	for _, c := range checks {
		if !c.OK && c.Name == "control groups" {
			p.log().Warn("control groups are not as they should be", "detail", c.Detail, "hint", c.Hint)
		}
	}
	for _, image := range s.absent {
		p.log().Info("pulling node image", "image", image)
		if err := s.engine.pull(ctx, image); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// claim takes the name: it makes the cluster's directory, with the owner in it. No container is made yet.
func (p *Provider) claim(s *site) (*Cluster, error) {
	dir, err := record.Make(s.name)
	if errors.Is(err, os.ErrExist) {
		return nil, record.Taken(s.name, errs.Infra)
	}
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		name: s.name, full: s.full, engine: s.engine, layout: s.layout, dir: dir, log: p.log(), clock: p.Clock,
		kind: kindcluster.NewProvider(s.engine.option(), kindcluster.ProviderWithLogger(logger{p.log()})),
		done: make(chan struct{}), unwatch: func() {}, expected: map[string]bool{}, started: map[string]string{},
	}
	if c.clock == nil {
		c.clock = clock.RealClock{}
	}
	c.down = sync.OnceValue(c.tearDown)
	err = record.Own(dir.Path(), record.Claim{Kind: Kind, Engine: s.engine.name})
	if err == nil {
		err = os.Mkdir(filepath.Dir(c.Kubeconfig()), 0o700)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make directory of the cluster: %w", err), dir.Remove())
	}
	return c, nil
}

// raise makes the containers, waits until the cluster can be used, and puts on it what belongs there.
func (p *Provider) raise(ctx context.Context, c *Cluster) error {
	if err := c.create(ctx); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return fmt.Errorf("load kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 500, 1000
	c.rest = config
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	c.kube = kube
	c.watch(ctx)
	ctx, release := c.bind(ctx)
	defer release()
	if err := waitReady(ctx, kube, c.layout.nodes, c.clock); err != nil {
		return err
	}
	if err := c.tidy(ctx); err != nil {
		return fmt.Errorf("take the names of containers out of the cluster: %w", err)
	}
	c.renameHosts(ctx, c.layout.nodes...)
	c.confine(ctx, c.layout.nodes...)
	if err := p.loadPrograms(ctx, c); err != nil {
		return err
	}
	return p.installChaos(ctx, c)
}

// create has kind make the containers, and Kubernetes in them.
func (c *Cluster) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, createLimit, fmt.Errorf("not done within %s", createLimit))
	defer cancel()
	var err error
	if c.lease, err = c.engine.joinNetwork(ctx); err != nil {
		return c.engine.explain(fmt.Errorf("make the network of the nodes: %w", err))
	}
	c.unsettled = true
	err = bounded(ctx, c.full, c.layout.containers(), func() error {
		return c.kind.Create(c.full,
			kindcluster.CreateWithV1Alpha4Config(c.layout.config),
			kindcluster.CreateWithKubeconfigPath(c.Kubeconfig()),
			// The readiness that counts is waited for later, and what failed is removed by Down, which says what it could not remove.
			kindcluster.CreateWithWaitForReady(0), kindcluster.CreateWithRetain(true),
			kindcluster.CreateWithDisplayUsage(false), kindcluster.CreateWithDisplaySalutation(false),
		)
	})
	if err != nil {
		return c.engine.explain(fmt.Errorf("create nodes: %w", err))
	}
	c.unsettled = false
	return nil
}

// bind ends the context when the cluster breaks down, with the breakdown as its cause.
func (c *Cluster) bind(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := make(chan struct{})
	go func() {
		select {
		case <-c.done:
			cancel(c.Err())
		case <-stop:
		}
	}()
	return ctx, func() { close(stop); cancel(nil) }
}

func (p *Provider) log() *slog.Logger {
	if p.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Log
}
