package kind

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
	kindnodes "sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/scratch"
)

// hasImage reports whether the engine has an image, without asking a registry.
func (e engine) hasImage(ctx context.Context, image string) bool {
	_, err := e.run(ctx, "image", "inspect", e.reference(image))
	return err == nil
}

// pull fetches an image, for as long as ctx lasts.
func (e engine) pull(ctx context.Context, image string) error {
	if _, err := e.transfer(ctx, "pull", "--quiet", e.reference(image)); err != nil {
		return errs.Hint(errs.With(errs.Infra, fmt.Errorf("pull node image %s: %w", image, err)),
			"see that a registry can be reached, or name an image that %s has with --node-image; docs/kind.md says how one is made without a registry", e.name)
	}
	return nil
}

// reference is an image as the engine wants it: Podman takes no short names, and no tag beside a digest.
func (e engine) reference(image string) string {
	if e.name != podman {
		return image
	}
	name, digest, pinned := strings.Cut(image, "@")
	if colon := strings.LastIndexByte(name, ':'); pinned && colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	first, _, nested := strings.Cut(name, "/")
	switch {
	case !nested:
		name = "docker.io/library/" + name
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		name = "docker.io/" + name
	}
	if pinned {
		name += "@" + digest
	}
	return name
}

// LoadImages implements cluster.ImageLoader. It must not be called while a node is down.
func (c *Cluster) LoadImages(ctx context.Context, archive string) error {
	err := bounded(ctx, c.full, c.layout.containers(), func() error {
		found, err := c.kind.ListInternalNodes(c.full)
		if err != nil {
			return fmt.Errorf("list nodes: %w", err)
		}
		var group errgroup.Group
		group.SetLimit(max(runtime.GOMAXPROCS(0), 2))
		for _, n := range found {
			group.Go(func() error { return loadInto(n, archive) })
		}
		return group.Wait()
	})
	if err != nil {
		return errs.With(errs.Infra, fmt.Errorf("load images %s: %w", filepath.Base(archive), err))
	}
	return nil
}

func loadInto(n kindnodes.Node, archive string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := nodeutils.LoadImageArchive(n, f); err != nil {
		return fmt.Errorf("load into %s: %w", n, err)
	}
	return nil
}

// loadPrograms puts the images of the program binaries on the nodes.
func (p *Provider) loadPrograms(ctx context.Context, c *Cluster) error {
	if p.Images == nil {
		return nil
	}
	set, err := p.Images()
	if err != nil {
		return err
	}
	dir, err := scratch.MakeTemp("gameday-images-")
	if err != nil {
		return err
	}
	archive := filepath.Join(dir.Path(), "programs.tar")
	if err = set.Save(ctx, archive); err == nil {
		err = c.LoadImages(ctx, archive)
	}
	if removed := dir.Remove(); err == nil {
		err = removed
	}
	if err != nil {
		return err
	}
	c.digests = map[string]string{}
	for _, image := range set.List() {
		c.digests[image.Ref] = image.Digest
	}
	return nil
}

// Images maps the references of the programs' images, which the nodes were given, to the digests of their manifests (sha256:...). It does not
// change. The caller owns the map.
func (c *Cluster) Images() map[string]string { return maps.Clone(c.digests) }
