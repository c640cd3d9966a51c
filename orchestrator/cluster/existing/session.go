package existing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/scratch"
	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
)

// endLimit bounds the clean-up after a start that failed.
const endLimit = 2 * time.Minute

// session is one provider's use of a cluster, over many trials. Its calls come one at a time.
type session struct {
	*access
	owner   string
	kube    kubernetes.Interface
	dynamic dynamic.Interface
	clock   clock.WithTicker
	log     *slog.Logger
	// nodes is how many nodes took pods when the cluster was checked.
	nodes int

	mesh    mesh
	options chaosmesh.Options
	// chaosIn is the namespace of Chaos Mesh; installed is true where the session has put it there.
	chaosIn   string
	installed bool

	claim   *claim
	cordons *cordons // nil where agents may not cordon nodes
	dir     *scratch.Dir
}

func newSession(p *Provider, in *inspection) (*session, error) {
	s := &session{
		access: in.access, owner: newOwner(), kube: in.kube, dynamic: in.dynamic, clock: p.clock(), log: p.log(), nodes: in.nodes,
		mesh: p.chaosMesh(), options: p.Chaos, chaosIn: in.chaosAt,
	}
	if s.options.Log == nil {
		s.options.Log = s.log
	}
	if s.chaosIn == "" {
		s.chaosIn = p.chaosNamespace()
	}
	s.options.Namespace = s.chaosIn
	if p.AllowCordon {
		s.cordons = &cordons{kube: in.kube}
	}
	var err error
	if s.dir, err = scratch.MakeTemp("gameday-existing-"); err != nil {
		return nil, fmt.Errorf("make directory for a kubeconfig: %w", err)
	}
	if err := s.write(s.kubeconfig()); err != nil {
		return nil, errors.Join(err, s.dir.Remove())
	}
	return s, nil
}

func (s *session) kubeconfig() string { return filepath.Join(s.dir.Path(), "kubeconfig") }

// begin claims the cluster and has Chaos Mesh work; chaosAt is where it was found, "" for nowhere.
func (s *session) begin(ctx context.Context, chaosAt string) error {
	var err error
	if s.claim, err = take(ctx, s.kube, s.owner, s.clock, s.log); err != nil {
		return err
	}
	return s.beginChaos(ctx, chaosAt)
}

// ready makes sure that a trial begins on a clean cluster that is ours.
func (s *session) ready(ctx context.Context) error {
	if s.claim.lost() != nil {
		s.claim.end()
		claim, err := take(ctx, s.kube, s.owner, s.clock, s.log)
		if err != nil {
			return err
		}
		s.claim = claim
	}
	if err := s.clean(ctx); err != nil {
		return fmt.Errorf("remove what the trial before has left: %w", err)
	}
	return nil
}

// clean removes everything that trials have made, and waits until it is gone. The error names what is left.
func (s *session) clean(ctx context.Context) error {
	ours, err := s.holds(ctx)
	return errors.Join(err, s.removeTrial(ctx, ours))
}

// removeTrial removes what trials have made; ours says that Home is this run's.
func (s *session) removeTrial(ctx context.Context, ours bool) error {
	var all []error
	if s.cordons != nil {
		all = append(all, s.cordons.restore(ctx, ours))
	}
	if ours {
		all = append(all, removeChaosObjects(ctx, s.kube, s.dynamic, s.clock, s.log))
	}
	return errors.Join(append(all, s.sweeper().remove(ctx, s.made(scopeTrial)))...)
}

// holds is false where somebody else has Home by now, which this run had lost: what is in it, and Chaos Mesh, are left to him. A run begins
// only where nothing of another one is left, so nothing of ours is among it. Where that cannot be told it is false, too, with the reason.
func (s *session) holds(ctx context.Context) (bool, error) {
	held, err := readClaim(ctx, s.kube, s.clock.Now())
	switch {
	case errors.Is(err, errForeignHome):
		held = &claimant{holder: "somebody else"}
	case err != nil:
		return false, fmt.Errorf("see who holds the cluster: %w", err)
	case held == nil || held.owner == s.owner:
		return true, nil
	}
	s.log.WarnContext(ctx, "another run has taken the cluster: its faults are left alone", "holder", held.String())
	return false, nil
}

// made is the selector of what this session has made for a scope.
func (s *session) made(scope string) string {
	return OwnerLabel + "=" + s.owner + "," + scopeLabel + "=" + scope
}

func (s *session) sweeper() sweeper { return sweeper{kube: s.kube, dynamic: s.dynamic} }

// end gives the cluster back as it was. Without a claim nothing was made. It can be called again after an error.
func (s *session) end(ctx context.Context) error {
	var all []error
	if s.claim != nil {
		ours, err := s.holds(ctx)
		all = append(all, err, s.removeTrial(ctx, ours))
		if s.installed && ours {
			all = append(all, removeMesh(ctx, s.mesh, s.rest, s.dynamic, s.chaosIn))
		}
		all = append(all, s.sweeper().remove(ctx, s.made(scopeRun)))
		s.claim.end()
	}
	return errors.Join(append(all, s.dir.Remove())...)
}
