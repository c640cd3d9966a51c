package kind

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/preflight"
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

// chartLimit bounds the look at the chart, and at the archive of images, before anything is made.
const chartLimit = 20 * time.Second

// checkChaos looks whether the chart can be had, and the archive of images where there is one: after minutes of bringing up nodes is no time to
// find out.
func (p *Provider) checkChaos(ctx context.Context) preflight.Check {
	const name = "Chaos Mesh"
	ctx, cancel := context.WithTimeoutCause(ctx, chartLimit, fmt.Errorf("no answer within %s", chartLimit))
	defer cancel()
	o, archive := p.chaosOptions()
	if archive == "" && chaosmesh.NamesFile(o.Images) {
		return preflight.Failed(name, "see that --chaos-mesh-images names a file that is there, or a registry", "images of Chaos Mesh: no such archive: %s", o.Images)
	}
	look := p.chart
	if look == nil {
		look = func(ctx context.Context, o chaosmesh.Options) error {
			if archive != "" {
				return o.CheckArchive(ctx, archive)
			}
			return o.Check(ctx)
		}
	}
	if err := look(ctx, o); err != nil {
		return preflight.Failed(name, errs.HintOf(err), "%v", err)
	}
	return preflight.Passed(name, "its chart is %s", cmp.Or(o.Chart, chaosmesh.DefaultChart))
}

// chaosOptions are the options for a cluster of this package; archive is the file of images that goes on the nodes, "" where there is none.
func (p *Provider) chaosOptions() (o chaosmesh.Options, archive string) {
	o = p.Chaos
	o.ControlPlane = true // A fault that ends a worker must not end what recovers it.
	if info, err := os.Stat(o.Images); err == nil && info.Mode().IsRegular() {
		o.Images, archive = "", o.Images // The nodes have them under the names of the chart.
	}
	return o, archive
}

func (p *Provider) installChaos(ctx context.Context, c *Cluster) error {
	o, archive := p.chaosOptions()
	if o.Log == nil {
		o.Log = c.log
	}
	if archive != "" {
		if err := c.LoadImages(ctx, archive); err != nil {
			return err
		}
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
