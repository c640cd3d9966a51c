package existing

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/preflight"
)

const (
	// leaseName is the Lease in Home by which others see who uses the cluster, and that he is still there.
	leaseName = "claim"
	// holderNote and cordonNote are annotations of the Lease: who it is, for people, and the nodes that an agent has cordoned.
	holderNote = "gameday.dev/holder"
	cordonNote = "gameday.dev/cordoned"

	leaseDuration = time.Minute
	renewEvery    = 15 * time.Second
)

// claimant is who holds a cluster, as others see it.
type claimant struct {
	owner, holder string
	// seen is when he was last there; live is true while that is not long ago.
	seen time.Time
	live bool
	// cordoned are the nodes that an agent of his has cordoned.
	cordoned []string
}

func (c *claimant) String() string {
	who := cmp.Or(c.holder, c.owner, "an unknown run")
	if c.seen.IsZero() {
		return who
	}
	return fmt.Sprintf("%s, last seen at %s", who, c.seen.UTC().Format(time.RFC3339))
}

// errForeignHome says that Home is not ours.
var errForeignHome = errors.New("namespace " + Home + " is not of gameday")

// readClaim returns who holds the cluster; nil where nobody does.
func readClaim(ctx context.Context, kube kubernetes.Interface, now time.Time) (*claimant, error) {
	ns, err := kube.CoreV1().Namespaces().Get(ctx, Home, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get namespace %s: %w", Home, err)
	}
	c := &claimant{owner: ns.Labels[OwnerLabel]}
	if c.owner == "" {
		return nil, errForeignHome
	}
	lease, err := kube.CoordinationV1().Leases(Home).Get(ctx, leaseName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		// Between the namespace and its Lease lie milliseconds; what is older was left like that.
		c.seen = ns.CreationTimestamp.Time
		c.live = now.Sub(c.seen) < renewEvery
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("get lease %s/%s: %w", Home, leaseName, err)
	}
	c.holder = lease.Annotations[holderNote]
	if renewed := lease.Spec.RenewTime; renewed != nil {
		c.seen, c.live = renewed.Time, now.Sub(renewed.Time) < leaseDuration
	}
	if nodes := lease.Annotations[cordonNote]; nodes != "" {
		c.cordoned = strings.Split(nodes, ",")
	}
	return c, nil
}

// checkClaim looks whether somebody uses the cluster, or has left something on it.
func (in *inspection) checkClaim(ctx context.Context) preflight.Check {
	held, err := readClaim(ctx, in.kube, in.provider.clock().Now())
	switch {
	case errors.Is(err, errForeignHome):
		return preflight.Failed("claim", "rename the namespace, or use another cluster", "%v", err)
	case err != nil:
		return preflight.Failed("claim", in.rightsHint(), "%v", err)
	case held != nil && held.live:
		return preflight.Failed("claim", "wait until that run has ended, or use another cluster", "in use by %s", held)
	case held != nil:
		return preflight.Failed("claim", "remove it with: "+in.provider.cleanUpCommand(), "a run was killed and has left something: %s", held)
	}
	left, err := in.kube.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: OwnerLabel})
	if err != nil {
		return preflight.Failed("claim", in.rightsHint(), "list namespaces: %v", err)
	}
	if len(left.Items) > 0 {
		return preflight.Failed("claim", "remove it with: "+in.provider.cleanUpCommand(), "an earlier run has left namespace %s", left.Items[0].Name)
	}
	return preflight.Passed("claim", "nobody uses it for an exercise")
}

// claim is this process's hold on a cluster: while it lasts, no other run uses it. It is kept up in the background until release.
type claim struct {
	kube  kubernetes.Interface
	clock clock.WithTicker
	log   *slog.Logger
	owner string

	stop   context.CancelFunc
	ended  chan struct{}
	broken chan struct{} // closed when the claim was lost

	mu  sync.Mutex
	err error
}

// take claims a cluster. It is atomic: of two that try, one gets it. A claim of the same owner is taken over.
func take(ctx context.Context, kube kubernetes.Interface, owner string, c clock.WithTicker, log *slog.Logger) (*claim, error) {
	out := &claim{kube: kube, clock: c, log: log, owner: owner, ended: make(chan struct{}), broken: make(chan struct{})}
	labels := map[string]string{OwnerLabel: owner, scopeLabel: scopeRun}
	home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Home, Labels: labels}}
	_, err := kube.CoreV1().Namespaces().Create(ctx, home, metav1.CreateOptions{})
	fresh := err == nil
	if apierrors.IsAlreadyExists(err) {
		err = out.mayTakeOver(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("claim the cluster: %w", err)
	}
	now, seconds := metav1.NewMicroTime(c.Now()), int32(leaseDuration.Seconds())
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: leaseName, Namespace: Home, Annotations: map[string]string{holderNote: holder()}},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &owner, LeaseDurationSeconds: &seconds, AcquireTime: &now, RenewTime: &now},
	}
	_, err = kube.CoordinationV1().Leases(Home).Create(ctx, lease, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		err = out.renew(ctx)
	}
	if err != nil && fresh {
		err = errors.Join(err, letGo(context.WithoutCancel(ctx), kube))
	}
	if err != nil {
		return nil, fmt.Errorf("claim the cluster: %w", err)
	}
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	out.stop = stop
	go out.keep(keeping)
	return out, nil
}

// letGo removes a claim that was begun: nobody else would know whose it is.
func letGo(ctx context.Context, kube kubernetes.Interface) error {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	if err := kube.CoreV1().Namespaces().Delete(ctx, Home, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("remove namespace %s: %w", Home, err)
	}
	return nil
}

// mayTakeOver is an error where Home is not this owner's.
func (c *claim) mayTakeOver(ctx context.Context) error {
	held, err := readClaim(ctx, c.kube, c.clock.Now())
	switch {
	case err != nil:
		return err
	case held == nil:
		return errors.New("it was just let go; try again")
	case held.owner != c.owner:
		return errs.Hint(errs.Newf(errs.Infra, "in use by %s", held), "wait until that run has ended, or use another cluster")
	}
	return nil
}

// holder says who this process is.
func holder() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	return fmt.Sprintf("%s on %s, process %d", name, host, os.Getpid())
}

// keep renews the claim until ctx ends or the claim is lost.
func (c *claim) keep(ctx context.Context) {
	defer close(c.ended)
	ticker := c.clock.NewTicker(renewEvery)
	defer ticker.Stop()
	last := c.clock.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		err := c.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			last = c.clock.Now()
		case errors.Is(err, errTaken) || apierrors.IsNotFound(err):
			c.lose(fmt.Errorf("the claim on the cluster was taken away: %w", err))
			return
		case c.clock.Since(last) >= leaseDuration:
			c.lose(fmt.Errorf("the API server was out of reach for %s: %w", leaseDuration, err))
			return
		default:
			c.log.WarnContext(ctx, "renew the claim on the cluster", "error", err)
		}
	}
}

// errTaken says that the Lease names somebody else.
var errTaken = errors.New("somebody else holds it")

// renew says that we are still there.
func (c *claim) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"renewTime": metav1.NewMicroTime(c.clock.Now())}})
	if err != nil {
		return fmt.Errorf("encode time: %w", err)
	}
	lease, err := c.kube.CoordinationV1().Leases(Home).Patch(ctx, leaseName, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("renew lease %s/%s: %w", Home, leaseName, err)
	}
	if by := lease.Spec.HolderIdentity; by == nil || *by != c.owner {
		return errTaken
	}
	return nil
}

func (c *claim) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = errs.With(errs.Infra, err)
	close(c.broken)
}

// lost is why the claim is no longer held; nil while it is.
func (c *claim) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// end stops renewing. What is on the cluster stays.
func (c *claim) end() {
	c.stop()
	<-c.ended
}
