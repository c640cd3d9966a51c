package images

import (
	"fmt"
	"iter"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/rootfs"
)

// configuration says how a container of the image is started.
func configuration(arch string, listing program.Listing) *v1.ConfigFile {
	c := v1.Config{
		Entrypoint: listing.Entrypoint, Cmd: listing.Cmd, Env: []string{"PATH=" + rootfs.Path}, WorkingDir: "/",
	}
	if listing.User != 0 {
		// A number: the kubelet can tell that it is not root's.
		c.User = strconv.FormatUint(uint64(listing.User), 10)
	}
	for _, port := range listing.Ports {
		if c.ExposedPorts == nil {
			c.ExposedPorts = map[string]struct{}{}
		}
		c.ExposedPorts[port] = struct{}{}
	}
	return &v1.ConfigFile{
		Architecture: arch, OS: "linux", Created: v1.Time{Time: epoch()}, Config: c, RootFS: v1.RootFS{Type: "layers"},
	}
}

// assemble makes the image for go-containerregistry. as, unless it is nil, gives the form in which a layer is used; its digests
// have to stay.
func (im *image) assemble(as func(*layer) v1.Layer) (v1.Image, error) {
	out, err := mutate.ConfigFile(empty.Image, im.config.DeepCopy())
	if err != nil {
		return nil, fmt.Errorf("assemble image %s: %w", im.Ref, err)
	}
	var parts []mutate.Addendum
	for _, l := range im.layers {
		part := mutate.Addendum{Layer: l, History: v1.History{Created: v1.Time{Time: epoch()}}}
		if as != nil {
			part.Layer = as(l)
		}
		parts = append(parts, part)
	}
	if out, err = mutate.Append(out, parts...); err != nil {
		return nil, fmt.Errorf("assemble image %s: %w", im.Ref, err)
	}
	return mutate.ConfigMediaType(mutate.MediaType(out, types.OCIManifestSchema1), types.OCIConfigJSON), nil
}

// eachLayer yields every layer once, in the order of the images.
func (s *Set) eachLayer() iter.Seq[*layer] {
	return func(yield func(*layer) bool) {
		seen := map[v1.Hash]bool{}
		for _, im := range s.images {
			for _, l := range im.layers {
				if seen[l.digest] {
					continue
				}
				seen[l.digest] = true
				if !yield(l) {
					return
				}
			}
		}
	}
}
