package images

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/internal/errs"
)

// pushes is how many images are pushed at a time.
const pushes = 4

// PushOptions say how a registry is spoken to. The zero value is right for most.
type PushOptions struct {
	// Insecure allows a registry without TLS or with a certificate that nobody vouches for. Registries on this machine and on
	// private addresses may always be without TLS.
	Insecure bool
	// Keychain gives the credentials for a registry; nil means those that docker login and podman login have stored.
	Keychain authn.Keychain
	// Transport carries the requests; nil means go-containerregistry's own.
	Transport http.RoundTripper
	// Pushed, when set, is told of every image that is in the registry now. It is called from several goroutines, one at a time.
	Pushed func(Image)
}

// Push puts all images into registry, a host that a path may follow (ghcr.io/me/exercise), and returns them with their
// references there, in the order of List. What the registry has already is not sent again, so that a push that failed can be
// repeated; tags are moved to what is pushed. Layers that images share are sent once where the registry can mount them from
// one repository into another.
//
// A registry that is none is an error of party usage; one that cannot be reached, or that does not let these credentials
// push, is one of party infra, with what to do as its hint. What was pushed before an error stays.
func (s *Set) Push(ctx context.Context, registry string, o PushOptions) ([]Image, error) {
	out := make([]Image, len(s.images))
	tags := make([]name.Tag, len(s.images))
	for i, im := range s.images {
		ref, err := Reference(registry, im.Ref)
		if err != nil {
			return nil, err
		}
		if tags[i], err = tagOf(ref, o.Insecure); err != nil {
			return nil, err
		}
		out[i] = im.Image
		out[i].Ref = ref
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
	group.SetLimit(pushes)
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

// Reference is the reference under which Push puts an image into registry: its path and tag stay as they are. A registry that
// is none is an error of party usage.
func Reference(registry, ref string) (string, error) {
	wrong := func(format string, args ...any) error {
		return errs.Hint(errs.Newf(errs.Usage, "invalid registry %q: %s", registry, fmt.Sprintf(format, args...)),
			"write it as in an image's reference, for example ghcr.io/me/exercise or localhost:5000")
	}
	switch host, _, _ := strings.Cut(registry, "/"); {
	case strings.Contains(registry, "://"):
		return "", wrong("it is a URL")
	case !strings.ContainsAny(host, ".:"):
		return "", wrong("%q is neither a domain nor has a port", host)
	}
	_, rest, _ := strings.Cut(ref, "/")
	full := registry + "/" + rest
	if _, err := tagOf(full, false); err != nil {
		return "", wrong("%v", err)
	}
	return full, nil
}

func tagOf(ref string, insecure bool) (name.Tag, error) {
	options := []name.Option{name.StrictValidation}
	if insecure {
		options = append(options, name.Insecure)
	}
	return name.NewTag(ref, options...)
}

// pusher pushes images, and remembers which repository has a layer.
type pusher struct {
	remote *remote.Pusher
	homes  map[v1.Hash]name.Tag

	mu   sync.Mutex
	told func(Image)
}

func newPusher(o PushOptions) (*pusher, error) {
	if o.Keychain == nil {
		o.Keychain = authn.DefaultKeychain
	}
	if o.Transport == nil {
		o.Transport = o.transport()
	}
	p, err := remote.NewPusher(remote.WithAuthFromKeychain(o.Keychain), remote.WithUserAgent("gameday"), remote.WithTransport(o.Transport))
	if err != nil {
		return nil, fmt.Errorf("push images: %w", err)
	}
	return &pusher{remote: p, told: o.Pushed, homes: map[v1.Hash]name.Tag{}}, nil
}

// transport is go-containerregistry's own, which for an insecure registry asks for no good certificate.
func (o PushOptions) transport() http.RoundTripper {
	own, ok := remote.DefaultTransport.(*http.Transport)
	if !ok || !o.Insecure {
		return remote.DefaultTransport
	}
	own = own.Clone()
	own.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	return own
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

// blame says whose failure it is that a push ended, and what can be done.
func blame(ctx context.Context, registry string, err error) error {
	if ctx.Err() != nil {
		return errs.With(errs.Interrupted, err)
	}
	host, _, _ := strings.Cut(registry, "/")
	var refused *transport.Error
	if !errors.As(err, &refused) {
		return errs.Hint(errs.With(errs.Infra, err), "see that %s can be reached from here; a registry without TLS needs --insecure", host)
	}
	denied := slices.ContainsFunc(refused.Errors, func(d transport.Diagnostic) bool {
		return d.Code == transport.UnauthorizedErrorCode || d.Code == transport.DeniedErrorCode
	})
	switch {
	case denied, refused.StatusCode == http.StatusUnauthorized, refused.StatusCode == http.StatusForbidden:
		return errs.Hint(errs.With(errs.Infra, err), "log in with an account that may push there: docker login %s", host)
	case refused.StatusCode == http.StatusNotFound:
		return errs.Hint(errs.With(errs.Infra, err), "create the repositories first, or push to a registry that creates them")
	}
	return errs.With(errs.Infra, err)
}
