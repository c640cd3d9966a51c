package kind

import (
	"context"
	"fmt"
	"os"

	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
)

// mesh installs Chaos Mesh on a cluster and returns when it works.
type mesh func(ctx context.Context, config *rest.Config, o chaosmesh.Options) error

// installMesh is the mesh of package chaosmesh. The installation goes with the cluster.
func installMesh(ctx context.Context, config *rest.Config, o chaosmesh.Options) error {
	release, err := chaosmesh.Install(ctx, config, o)
	if err != nil {
		return err
	}
	return release.Verify(ctx)
}

func (p *Provider) installChaos(ctx context.Context, c *Cluster) error {
	o := p.Chaos
	o.ControlPlane = true // A fault that ends a worker must not end what recovers it.
	if o.Log == nil {
		o.Log = c.log
	}
	if info, err := os.Stat(o.Images); err == nil && info.Mode().IsRegular() {
		if err := c.LoadImages(ctx, o.Images); err != nil {
			return err
		}
		o.Images = "" // The nodes have them under the names of the chart.
	}
	install := p.mesh
	if install == nil {
		install = installMesh
	}
	if err := install(ctx, c.rest, o); err != nil {
		return fmt.Errorf("install Chaos Mesh: %w", err)
	}
	return nil
}
