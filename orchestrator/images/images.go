package images

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/internal/binaries"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/workloads/program"
)

// listTimeout is how long the executables may take to say what they offer; they need some hundredths of a second.
const listTimeout = 30 * time.Second

// nodesOwn is the repository of an image that the nodes of a real cluster run for themselves. One of that name must not take
// its place.
const nodesOwn = "registry.k8s.io/pause"

// Image is one image.
type Image struct {
	// Ref is the reference, as in the manifests; what Push returns has the registry's.
	Ref string `json:"image"`
	// Digest is that of the manifest (sha256:...), by which registries know the image; ID is that of its configuration, by which
	// nodes do. Neither depends on the reference.
	Digest string `json:"digest"`
	ID     string `json:"id"`
	// Size is what a registry keeps of the image and a node pulls, Unpacked what it takes on a node, in bytes. Images share
	// layers: Set.Total counts them once.
	Size     int64 `json:"bytes"`
	Unpacked int64 `json:"unpackedBytes"`
	// Program is the name of the program; Variant is the build of it, which is also the tag.
	Program string `json:"program"`
	Variant string `json:"variant"`
}

// Total is what a set of images takes, shared layers counted once.
type Total struct {
	Images int `json:"images"`
	Layers int `json:"layers"`
	// Bytes is the size in a registry, UnpackedBytes the size on a node.
	Bytes         int64 `json:"bytes"`
	UnpackedBytes int64 `json:"unpackedBytes"`
}

// Set is some images. It is not changed once it is made, and safe for concurrent use. It holds no content: layers are read from
// the executables whenever they are written somewhere, so these have to stay where and what they are.
type Set struct{ images []*image }

// image is an Image with what it is made of.
type image struct {
	Image
	config *v1.ConfigFile
	layers []*layer
}

// Find makes the images of gameday's own executables: those in dir or, where it is empty, those that binaries.Find finds. It
// reads each executable once, for the digests, which takes a second or two. Executables that are missing or of no use are
// errors of party infra.
func Find(dir string) (*Set, error) {
	ctx, cancel := context.WithTimeout(context.Background(), listTimeout)
	defer cancel()
	names := slices.Concat(binaries.Programs(), binaries.Companions())
	found := make([]Binary, len(names))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		group.Go(func() error {
			path, err := binaries.Find(dir, name)
			if err != nil {
				return err
			}
			found[i], err = Inspect(ctx, path)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return New(found...)
}

// New makes the images of the given executables. A reference that two of them offer, and a program whose executable is not
// among them, are errors.
func New(from ...Binary) (*Set, error) {
	shared, err := newLayer(base())
	if err != nil {
		return nil, err
	}
	layers := make([]*layer, len(from))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, b := range from {
		group.Go(func() error {
			executable, err := b.entry()
			if err != nil {
				return errs.With(errs.Infra, err)
			}
			layers[i], err = newLayer([]entry{executable})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	s := &Set{}
	for i, b := range from {
		for _, listing := range b.Listings {
			if listing.Repository == nodesOwn {
				continue
			}
			holder, has := b, []*layer{shared, layers[i]}
			if listing.Binary != "" && listing.Binary != b.name() {
				at := slices.IndexFunc(from, func(other Binary) bool { return other.name() == listing.Binary })
				if at < 0 {
					return nil, errs.Newf(errs.Infra, "make image %s: its program is in %s, which is not there", listing.Repository, listing.Binary)
				}
				holder, has = from[at], append(has, layers[at])
			}
			if err := s.add(b, holder, listing, has); err != nil {
				return nil, fmt.Errorf("make image %s: %w", listing.Repository, err)
			}
		}
	}
	slices.SortFunc(s.images, func(a, b *image) int { return cmp.Compare(a.Ref, b.Ref) })
	for i := 1; i < len(s.images); i++ {
		if s.images[i].Ref == s.images[i-1].Ref {
			return nil, errs.Newf(errs.Infra, "make image %s: two executables offer it", s.images[i].Ref)
		}
	}
	return s, nil
}

// add makes the images of a listing, one for each tag.
func (s *Set) add(of, holder Binary, listing program.Listing, layers []*layer) error {
	for _, tag := range listing.Tags {
		entries, err := own(of, holder, listing, tag)
		if err != nil {
			return err
		}
		top, err := newLayer(entries)
		if err != nil {
			return err
		}
		im := &image{
			Image:  Image{Ref: listing.Repository + ":" + tag, Program: listing.Program, Variant: tag},
			config: configuration(of.Architecture, listing), layers: append(slices.Clone(layers), top),
		}
		if err := im.measure(); err != nil {
			return err
		}
		s.images = append(s.images, im)
	}
	return nil
}

// measure fills in what follows from the image's content.
func (im *image) measure() error {
	content, err := im.assemble(nil)
	if err != nil {
		return err
	}
	digest, err := content.Digest()
	id, idErr := content.ConfigName()
	if err := errors.Join(err, idErr); err != nil {
		return err
	}
	im.Digest, im.ID = digest.String(), id.String()
	for _, l := range im.layers {
		im.Size, im.Unpacked = im.Size+l.size, im.Unpacked+l.unpacked
	}
	return nil
}

// List returns the images, sorted by reference.
func (s *Set) List() []Image {
	out := make([]Image, len(s.images))
	for i, im := range s.images {
		out[i] = im.Image
	}
	return out
}

// Digests returns the digests of the manifests by the references.
func (s *Set) Digests() map[string]string {
	out := make(map[string]string, len(s.images))
	for _, im := range s.images {
		out[im.Ref] = im.Digest
	}
	return out
}

// Select returns the set of those images that keep wants.
func (s *Set) Select(keep func(Image) bool) *Set {
	out := &Set{}
	for _, im := range s.images {
		if keep(im.Image) {
			out.images = append(out.images, im)
		}
	}
	return out
}

// Total adds up what the images take.
func (s *Set) Total() Total {
	t := Total{Images: len(s.images)}
	for l := range s.eachLayer() {
		t.Layers, t.Bytes, t.UnpackedBytes = t.Layers+1, t.Bytes+l.size, t.UnpackedBytes+l.unpacked
	}
	return t
}
