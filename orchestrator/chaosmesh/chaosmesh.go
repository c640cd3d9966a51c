// Package chaosmesh puts Chaos Mesh on a real cluster: it installs the chart with Helm's library, waits until faults are really
// injected, and removes it again. The embedded cluster needs none of this, for its control plane is Chaos Mesh's controllers, too.
//
// Chaos Mesh is one per cluster: its definitions and webhooks have fixed names. An installation that is there already is used as it
// is. What this package makes has OwnedLabel, and only that is ever removed.
package chaosmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/errs"
)

const (
	// DefaultNamespace is where Chaos Mesh is installed, and where its objects are created. Agents do not see it.
	DefaultNamespace = "chaos-mesh"
	// OwnedLabel is on the namespace, the definitions and the Helm release that this package has made.
	OwnedLabel = "gameday.dev/installed"

	releaseName = "chaos-mesh"
	owned       = "true"
)

// Options say how Chaos Mesh is installed. The zero value is the pinned chart on a cluster that reaches the internet.
type Options struct {
	// Chart is where the chart comes from: a directory, a .tgz file, or the http or https URL of one. Empty means DefaultChart, of which
	// the digest is checked.
	Chart string
	// Images is the registry of Chaos Mesh's images, and their tag where one is given: registry.example.com/mirror or
	// registry.example.com/mirror:v2.8.4. The repositories below it are the chart's (chaos-mesh/chaos-mesh, ...). Empty means what the
	// chart says.
	Images string
	// Runtime is the nodes' container runtime as the chart calls it (containerd, crio, docker) and Socket the path of its socket. What is
	// empty is found out from the nodes.
	Runtime, Socket string
	// Namespace is where a new installation goes; empty means DefaultNamespace. It is created where it does not exist.
	Namespace string
	// PauseImage is what PodChaos puts in the place of a pod's images. Empty means a pause image that every node has.
	PauseImage string
	// DNSServer installs the server that DNSChaos needs.
	DNSServer bool
	// ControlPlane lets the controllers run on the control plane's nodes, where a fault of a worker does not reach them. It is for
	// clusters that are the run's own.
	ControlPlane bool
	// CanaryImage is what the pod of Verify runs: an image that is there on every node, or can be pulled. It has to run on and not to
	// listen on port 10250. Empty means the image of Chaos Mesh's daemon. CanaryCommand replaces the image's entrypoint.
	CanaryImage   string
	CanaryCommand []string
	// RolloutLimit bounds the wait for Chaos Mesh's own pods, whose images may have to be pulled; zero means five minutes.
	RolloutLimit time.Duration
	// HTTP downloads charts; nil means http.DefaultClient. Clock tells the time; nil means the real one. Log takes what is worth telling;
	// nil discards it.
	HTTP  *http.Client
	Clock clock.WithTicker
	Log   *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Namespace = cmp.Or(o.Namespace, DefaultNamespace)
	o.RolloutLimit = cmp.Or(o.RolloutLimit, 5*time.Minute)
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Release is one installation of Chaos Mesh. Methods are safe for concurrent use; Uninstall is the last of them.
type Release struct {
	*site

	namespace string
	name      string // Helm's name for it; empty where it did not come as a chart
	version   string
	ours      bool
	whole     bool // false where its installation was cut off
	// proven is set by Install, which verifies: the Verify after it has nothing to add.
	proven atomic.Bool
}

// Namespace is where its programs run.
func (r *Release) Namespace() string { return r.namespace }

// Version is that of the chart, or of the program where it did not come as a chart; "" where it does not say.
func (r *Release) Version() string { return r.version }

// Owned says whether this package has installed it, in this process or another, so that Uninstall removes it.
func (r *Release) Owned() bool { return r.ours }

// Install makes sure that Chaos Mesh works on a cluster, and returns when Verify has passed.
//
// An installation that is there already, in whatever namespace, is verified and used; what an installation of this package has left
// that was cut off is removed first. Everything that can be found out before something is made is: a chart that is none, images that
// are no reference (party usage), a chart that is not reached, nodes with different runtimes (party infra). After a later error what was
// made is removed again; what is left is part of the error.
func Install(ctx context.Context, config *rest.Config, o Options) (*Release, error) {
	s, err := connect(config, o.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("install Chaos Mesh: %w", blame(err))
	}
	r, err := s.install(ctx)
	if err != nil {
		return nil, fmt.Errorf("install Chaos Mesh: %w", blame(err))
	}
	return r, nil
}

// Find returns the installation in a namespace, or anywhere where namespace is empty. It is nil where there is none; one that was cut
// off is one. It logs to slog's default.
func Find(ctx context.Context, config *rest.Config, namespace string) (*Release, error) {
	s, err := connect(config, Options{Namespace: namespace, Log: slog.Default()}.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("find Chaos Mesh: %w", blame(err))
	}
	r, err := s.find(ctx, namespace)
	if err != nil {
		return nil, fmt.Errorf("find Chaos Mesh: %w", blame(err))
	}
	return r, nil
}

// blame names the cluster's side where nobody is named, and nobody has called the work off.
func blame(err error) error {
	switch {
	case errs.PartyOf(err) != "":
		return err
	case errors.Is(err, context.Canceled):
		return errs.With(errs.Interrupted, err)
	}
	return errs.With(errs.Infra, err)
}

func (s *site) install(ctx context.Context) (*Release, error) {
	found, err := s.find(ctx, "")
	if err != nil {
		return nil, err
	}
	if found != nil && (found.whole || !found.ours) {
		return found, found.adopt(ctx)
	}
	if found != nil {
		s.log.WarnContext(ctx, "Chaos Mesh was not installed to the end, installing it anew", "namespace", found.namespace)
		if err := found.remove(ctx); err != nil {
			return nil, fmt.Errorf("remove what is there of it: %w", err)
		}
	}
	p, err := s.plan(ctx)
	if err != nil {
		return nil, err
	}
	r := &Release{site: s, namespace: s.o.Namespace, name: releaseName, version: p.chart.Metadata.Version, ours: true, whole: true}
	if err := r.put(ctx, p); err != nil {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.pace.cleanUp)
		defer cancel()
		return nil, errors.Join(err, r.remove(after))
	}
	return r, nil
}

// adopt waits until an installation that is there works. Nothing of it is changed.
func (r *Release) adopt(ctx context.Context) error {
	if !r.whole {
		return errs.Hint(errs.Newf(errs.Infra, "release %s in namespace %s is not installed to the end", r.name, r.namespace),
			"repair or remove it: helm -n %s status %s", r.namespace, r.name)
	}
	r.log.InfoContext(ctx, "Chaos Mesh is there already", "namespace", r.namespace, "version", r.version)
	return r.settle(ctx)
}

// put installs what is planned and waits until it works.
func (r *Release) put(ctx context.Context, p *plan) error {
	r.log.InfoContext(ctx, "installing Chaos Mesh", "namespace", r.namespace, "chart", r.version, "runtime", p.runtime.String())
	if err := r.define(ctx); err != nil {
		return err
	}
	if err := r.makeNamespace(ctx, r.namespace); err != nil {
		return err
	}
	if err := r.installChart(ctx, p.chart, r.namespace, p.values); err != nil {
		return err
	}
	return r.settle(ctx)
}

// settle waits until all of Chaos Mesh runs and a canary shows that it works.
func (r *Release) settle(ctx context.Context) error {
	if err := r.awaitRollout(ctx); err != nil {
		return err
	}
	if err := r.awaitWebhooks(ctx); err != nil {
		return err
	}
	if err := r.prove(ctx); err != nil {
		return err
	}
	r.proven.Store(true)
	return nil
}
