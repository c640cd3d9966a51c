package images

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"
)

// atOnce is how many images are pushed or looked for at a time.
const atOnce = 4

// Push puts all images into registry, a host that a path may follow (ghcr.io/me/exercise), and returns them with their
// references there, in the order of List. What the registry has already is not sent again, so that a push that failed can be
// repeated; tags are moved to what is pushed. Layers that images share are sent once where the registry can mount them from
// one repository into another.
//
// A registry that is none is an error of party usage; one that cannot be reached, or that does not let these credentials
// push, is one of party infra, with what to do as its hint. What was pushed before an error stays.
func (s *Set) Push(ctx context.Context, registry string, o PushOptions) ([]Image, error) {
	out := make([]Image, len(s.images))
	tags, err := s.tags(registry, o.Insecure)
	if err != nil {
		return nil, err
	}
	for i, im := range s.images {
		out[i] = im.Image
		out[i].Ref = tags[i].String()
	}
	p, err := newPusher(o)
	if err != nil {
		return nil, err
	}
	// First those that bring a layer that no repository of the set has; then the others, which find all of theirs somewhere.
	var rest []int
	for i, im := range s.images {
		if !p.brings(im) {
			rest = append(rest, i)
			continue
		}
		if err := p.push(ctx, im, tags[i]); err != nil {
			return nil, blame(ctx, registry, err)
		}
		p.tell(out[i])
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, i := range rest {
		group.Go(func() error {
			if err := p.push(groupCtx, s.images[i], tags[i]); err != nil {
				return err
			}
			p.tell(out[i])
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, blame(ctx, registry, err)
	}
	return out, nil
}

// pusher pushes images, and remembers which repository has a layer.
type pusher struct {
	remote *remote.Pusher
	homes  map[v1.Hash]name.Tag

	mu   sync.Mutex
	told func(Image)
}

func newPusher(o PushOptions) (*pusher, error) {
	p, err := remote.NewPusher(o.remote()...)
	if err != nil {
		return nil, fmt.Errorf("push images: %w", err)
	}
	return &pusher{remote: p, told: o.Pushed, homes: map[v1.Hash]name.Tag{}}, nil
}

// shared are the layers that other images have, too: all but the image's own.
func (im *image) shared() []*layer { return im.layers[:len(im.layers)-1] }

// brings reports whether the image has a shared layer that no repository has yet.
func (p *pusher) brings(im *image) bool {
	for _, l := range im.shared() {
		if _, ok := p.homes[l.digest]; !ok {
			return true
		}
	}
	return false
}

// push pushes one image. It may be called concurrently for images that bring nothing.
func (p *pusher) push(ctx context.Context, im *image, tag name.Tag) error {
	content, err := im.assemble(func(l *layer) v1.Layer {
		if home, ok := p.homes[l.digest]; ok {
			return &remote.MountableLayer{Layer: l, Reference: home}
		}
		return l
	})
	if err != nil {
		return err
	}
	if err := p.remote.Push(ctx, tag, content); err != nil {
		return fmt.Errorf("push %s: %w", tag, err)
	}
	for _, l := range im.shared() {
		if _, ok := p.homes[l.digest]; !ok {
			p.homes[l.digest] = tag
		}
	}
	return nil
}

func (p *pusher) tell(im Image) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told != nil {
		p.told(im)
	}
}
