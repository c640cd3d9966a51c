package chaosmesh

import (
	"context"
	"errors"
	"fmt"
)

// Verify shows that Chaos Mesh works: it starts a canary pod in Chaos Mesh's namespace, cuts it off from the network with a
// NetworkChaos, sees that it does not answer any more, deletes the NetworkChaos, and sees that it answers again. So the webhooks, the
// controllers, the daemon, the runtime's socket and the node's packet filter have all done their part. It takes about five seconds,
// a minute per step at most, and leaves nothing behind.
//
// The error is a StepError (party infra), or says what is left of the canary. Nothing is done in the first call after an Install, which has
// just verified.
func (r *Release) Verify(ctx context.Context) error {
	if r.proven.Swap(false) {
		return nil
	}
	if err := r.prove(ctx); err != nil {
		return fmt.Errorf("verify Chaos Mesh: %w", blame(err))
	}
	return nil
}

func (r *Release) prove(ctx context.Context) (err error) {
	c := newCanary(r)
	defer func() {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.pace.cleanUp)
		defer cancel()
		err = errors.Join(err, c.remove(after))
	}()
	const (
		image   = "the canary runs the image of Chaos Mesh's daemon where no other is given"
		path    = "the API server must reach pods on port 10250, as it must for Chaos Mesh's webhooks: see firewalls and network policies"
		runtime = "the daemon must reach the container runtime, and the node's kernel must have iptables and ip_set; " +
			"pods of different nodes must reach each other"
	)
	for _, step := range []struct {
		name, hint string
		do         func(context.Context) error
	}{
		{"start a canary", image, c.start},
		{"reach the canary", path, c.awaitAnswer},
		{"create an experiment", path, c.cut},
		{"inject the fault", runtime, c.awaitInjected},
		{"see the fault", runtime, c.awaitSilence},
		{"recover", runtime, c.restore},
		{"see the recovery", runtime, c.awaitAnswer},
	} {
		started := r.clock.Now()
		if err := step.do(ctx); err != nil {
			return r.failed(ctx, step.name, c.node, err, step.hint)
		}
		r.log.DebugContext(ctx, "canary of Chaos Mesh", "step", step.name, "took", r.clock.Since(started))
	}
	return nil
}
