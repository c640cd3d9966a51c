package controlplane

import (
	"context"

	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/storage"
)

// startStorage starts what binds, makes, grows and removes persistent volumes.
func (p *plane) startStorage(ctx context.Context, admin *rest.Config, volumes *storage.Controllers) error {
	// The binder acts as a service account of the bootstrap roles.
	if err := waitPath(ctx, admin, rolesReady); err != nil {
		return err
	}
	if err := volumes.Start(ctx); err != nil {
		return err
	}
	p.mark("storage")
	return nil
}
