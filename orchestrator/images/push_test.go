package images_test

import (
	"context"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/images"
)

// registryServer is a registry that counts what is sent to it.
type registryServer struct {
	host string

	mu      sync.Mutex
	uploads int
	mounts  map[string]bool
}

func newRegistry(t *testing.T) *registryServer {
	t.Helper()
	r := &registryServer{mounts: map[string]bool{}}
	backend := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodPost {
			r.mu.Lock()
			r.uploads++
			if from := request.URL.Query().Get("from"); from != "" {
				r.mounts[from] = true
			}
			r.mu.Unlock()
		}
		backend.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// seen returns how many uploads were begun, and the repositories from which something was to be mounted.
func (r *registryServer) seen() (int, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.uploads, slices.Sorted(maps.Keys(r.mounts))
}

func TestPush(t *testing.T) {
	t.Parallel()
	s, r := newSet(t), newRegistry(t)
	var told []string
	pushed, err := s.Push(t.Context(), r.host+"/me/exercise", images.PushOptions{Pushed: func(im images.Image) { told = append(told, im.Ref) }})
	require.NoError(t, err)
	require.Len(t, pushed, 5)
	var refs []string
	for i, im := range pushed {
		was := s.List()[i]
		require.Equal(t, r.host+"/me/exercise/"+strings.TrimPrefix(was.Ref, "registry.local/"), im.Ref)
		require.Equal(t, was.Digest, im.Digest)
		refs = append(refs, im.Ref)
		tag, err := name.NewTag(im.Ref)
		require.NoError(t, err)
		content, err := remote.Image(tag, remote.WithContext(t.Context()))
		require.NoError(t, err)
		digest, err := content.Digest()
		require.NoError(t, err)
		require.Equal(t, im.Digest, digest.String())
		require.NoError(t, validate.Image(content))
	}
	require.ElementsMatch(t, refs, told)
	// This registry keeps one store of blobs for all repositories, so that each is sent once: the layers, and the configurations.
	uploads, _ := r.seen()
	require.Equal(t, s.Total().Layers+s.Total().Images, uploads)

	again, err := s.Push(t.Context(), r.host+"/me/exercise", images.PushOptions{})
	require.NoError(t, err)
	require.Equal(t, pushed, again)
	after, _ := r.seen()
	require.Equal(t, uploads, after, "nothing is sent a second time")
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	s, r := newSet(t), newRegistry(t)
	absent := func() []string {
		found, err := s.Absent(t.Context(), r.host+"/x", images.PushOptions{})
		require.NoError(t, err)
		var refs []string
		for _, im := range found {
			refs = append(refs, strings.TrimPrefix(im.Ref, r.host+"/x/"))
		}
		return refs
	}
	require.Len(t, absent(), 5)
	other := executables(t, 1)
	other[2] = executables(t, 2)[2] // gameday-dns
	pushed, err := images.New(other...)
	require.NoError(t, err)
	_, err = pushed.Push(t.Context(), r.host+"/x", images.PushOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"coredns/coredns:v1.12.4"}, absent(), "it is there, and is another build")
	_, err = s.Push(t.Context(), r.host+"/x", images.PushOptions{})
	require.NoError(t, err)
	require.Empty(t, absent())
	_, err = s.Absent(t.Context(), "me/exercise", images.PushOptions{})
	require.Equal(t, errs.Usage, errs.PartyOf(err))
}

// TestPushMounts: what one repository has is not sent to the next one by a registry that keeps them apart.
func TestPushMounts(t *testing.T) {
	t.Parallel()
	r := newRegistry(t)
	apart := http.RoundTripper(roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Method == http.MethodHead && strings.Contains(request.URL.Path, "/blobs/") {
			return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Request: request, Header: http.Header{}}, nil
		}
		return http.DefaultTransport.RoundTrip(request)
	}))
	_, err := newSet(t).Push(t.Context(), r.host, images.PushOptions{Transport: apart})
	require.NoError(t, err)
	_, mounts := r.seen()
	require.Equal(t, []string{"coredns/coredns", "hotel/geo"}, mounts)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestPushErrors(t *testing.T) {
	t.Parallel()
	s := newSet(t)
	// refusing is a registry that answers questions with one code, and uploads with another.
	refusing := func(question, upload int, body string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/v2/":
			case r.Method == http.MethodHead:
				w.WriteHeader(question)
			default:
				w.WriteHeader(upload)
				_, _ = io.WriteString(w, body)
			}
		}))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for title, tc := range map[string]struct {
		registry string
		party    errs.Party
		hint     string
	}{
		"not reachable":   {strings.TrimPrefix(gone.URL, "http://"), errs.Infra, "can be reached from here; a registry without TLS needs --insecure"},
		"no rights":       {refusing(http.StatusForbidden, http.StatusForbidden, ""), errs.Infra, "docker login 127.0.0.1"},
		"not logged in":   {refusing(http.StatusUnauthorized, http.StatusUnauthorized, ""), errs.Infra, "docker login 127.0.0.1"},
		"denied":          {refusing(http.StatusNotFound, http.StatusBadRequest, `{"errors":[{"code":"DENIED","message":"no"}]}`), errs.Infra, "docker login 127.0.0.1"},
		"no repository":   {refusing(http.StatusNotFound, http.StatusNotFound, `{"errors":[{"code":"NAME_UNKNOWN"}]}`), errs.Infra, "create the repositories first"},
		"not a reference": {"127.0.0.1:1/With Space", errs.Usage, "ghcr.io/me/exercise"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			_, err := s.Push(t.Context(), tc.registry, images.PushOptions{})
			require.Error(t, err)
			require.Equal(t, tc.party, errs.PartyOf(err), err.Error())
			require.Contains(t, errs.HintOf(err), tc.hint, err.Error())
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Push(ctx, newRegistry(t).host, images.PushOptions{})
	require.Equal(t, errs.Interrupted, errs.PartyOf(err))
}

func TestReference(t *testing.T) {
	t.Parallel()
	for registry, want := range map[string]string{
		"ghcr.io/me/exercise": "ghcr.io/me/exercise/hotel/geo:2.3.1",
		"localhost:5000":      "localhost:5000/hotel/geo:2.3.1",
		"10.0.0.7:5000/x":     "10.0.0.7:5000/x/hotel/geo:2.3.1",
	} {
		got, err := images.Reference(registry, geo1)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for registry, want := range map[string]string{
		"":                     `"" is neither a domain nor has a port`,
		"localhost":            "neither a domain nor has a port",
		"me/exercise":          `"me" is neither a domain nor has a port`,
		"/x":                   "neither a domain nor has a port",
		"https://ghcr.io/me":   "it is a URL",
		"ghcr.io/Me":           "repository can only contain",
		"ghcr.io/me@sha256:00": "repository can only contain",
	} {
		_, err := images.Reference(registry, geo1)
		require.ErrorContains(t, err, want)
		require.Equal(t, errs.Usage, errs.PartyOf(err))
		require.Contains(t, errs.HintOf(err), "ghcr.io/me/exercise")
	}
}
