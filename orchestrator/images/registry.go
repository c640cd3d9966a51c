package images

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/internal/errs"
)

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

// remote are the options in go-containerregistry's form.
func (o PushOptions) remote() []remote.Option {
	if o.Keychain == nil {
		o.Keychain = authn.DefaultKeychain
	}
	if o.Transport == nil {
		o.Transport = o.transport()
	}
	return []remote.Option{remote.WithAuthFromKeychain(o.Keychain), remote.WithUserAgent("gameday"), remote.WithTransport(o.Transport)}
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

// Absent returns the images that registry does not have as they are here, in the order of List and with their references
// there: they were not pushed, or are of another build. A run on nodes that pull from the registry would fail, or be of
// something else. Errors are as for Push.
func (s *Set) Absent(ctx context.Context, registry string, o PushOptions) ([]Image, error) {
	tags, err := s.tags(registry, o.Insecure)
	if err != nil {
		return nil, err
	}
	puller, err := remote.NewPuller(o.remote()...)
	if err != nil {
		return nil, fmt.Errorf("look for images: %w", err)
	}
	absent := make([]bool, len(s.images))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, im := range s.images {
		group.Go(func() error {
			found, err := puller.Head(groupCtx, tags[i])
			var refused *transport.Error
			switch {
			case errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound:
				absent[i] = true
			case err != nil:
				return fmt.Errorf("look for %s: %w", tags[i], err)
			default:
				absent[i] = found.Digest.String() != im.Digest
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, blame(ctx, registry, err)
	}
	var out []Image
	for i, im := range s.images {
		if absent[i] {
			out = append(out, im.Image)
			out[len(out)-1].Ref = tags[i].String()
		}
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

// tags are the references of the images in registry.
func (s *Set) tags(registry string, insecure bool) ([]name.Tag, error) {
	out := make([]name.Tag, len(s.images))
	for i, im := range s.images {
		ref, err := Reference(registry, im.Ref)
		if err != nil {
			return nil, err
		}
		if out[i], err = tagOf(ref, insecure); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// blame says whose failure it is that a registry did not do what it was asked for, and what can be done.
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
		return errs.Hint(errs.With(errs.Infra, err), "log in with an account that has the right to: docker login %s", host)
	case refused.StatusCode == http.StatusNotFound:
		return errs.Hint(errs.With(errs.Infra, err), "create the repositories first, or push to a registry that creates them")
	}
	return errs.With(errs.Infra, err)
}
