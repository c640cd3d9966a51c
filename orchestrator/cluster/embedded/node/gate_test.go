package node

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/kubernetes/pkg/kubelet/server"
)

func TestGateHoldsRequestsBack(t *testing.T) {
	served := make(chan struct{}, 1)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served <- struct{}{} }))
	defer s.Close()
	g := newGate()
	client := &http.Client{Transport: g.transport(http.DefaultTransport)}
	get := func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, http.NoBody)
		require.NoError(t, err)
		resp, err := client.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	require.NoError(t, get(t.Context()))
	<-served
	require.True(t, g.shut())
	require.False(t, g.shut(), "it is shut")
	gone := errors.New("no patience")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	require.Error(t, get(ctx))
	require.ErrorIs(t, g.wait(ctx), gone)
	done := make(chan error)
	go func() { done <- get(t.Context()) }()
	require.Empty(t, served, "nothing passes")
	require.True(t, g.reopen())
	require.False(t, g.reopen(), "it is open")
	require.NoError(t, <-done)
	<-served
}

func TestGateBreaksRequestsOff(t *testing.T) {
	g := newGate()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _, _ = gatedAuth{nobody{}, g}.AuthenticateRequest(req)
	}))
	defer s.Close()
	get := func() error {
		resp, err := http.Get(s.URL)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	require.NoError(t, get())
	g.shut()
	require.ErrorContains(t, get(), "EOF")
	g.reopen()
	require.NoError(t, get())
}

// nobody lets nobody in.
type nobody struct{ server.AuthInterface }

func (nobody) AuthenticateRequest(*http.Request) (*authenticator.Response, bool, error) {
	return nil, false, nil
}
