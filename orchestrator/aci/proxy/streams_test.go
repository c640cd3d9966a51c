package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	u := &upstream{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for _, obj := range []string{chaosEvent, goodEvent} {
			fmt.Fprintf(w, `{"type":"ADDED","object":%s}`+"\n", obj)
		}
		fmt.Fprintln(w, `{"type":"BOOKMARK","object":{"kind":"Event","metadata":{"resourceVersion":"9"}}}`)
		fmt.Fprintf(w, `{"type":"ADDED","object":{"kind":"Table","apiVersion":"meta.k8s.io/v1","columnDefinitions":[{"name":"COL"}],"rows":[{"cells":["hidden"],"object":%s}]}}`+"\n", chaosEvent)
		fmt.Fprintf(w, `{"type":"ADDED","object":{"kind":"Table","apiVersion":"meta.k8s.io/v1","columnDefinitions":null,"rows":[{"cells":["seen"],"object":%s}]}}`+"\n", goodEvent)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}}
	s, client := start(t, u)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/api/v1/events?watch=true", nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	var got []string
	for range 3 {
		var ev struct {
			Type   string
			Object json.RawMessage
		}
		require.NoError(t, dec.Decode(&ev))
		got = append(got, ev.Type+" "+string(ev.Object))
	}
	require.Contains(t, got[0], "Killing")
	require.Contains(t, got[1], "BOOKMARK")
	require.Contains(t, got[2], "seen")
	require.Contains(t, got[2], "COL", "the columns of a hidden first event are kept for the next")
	require.NotContains(t, strings.Join(got, ""), "chaos")
}

func TestScopeEndsStreams(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	u := &upstream{handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "line\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(ended)
	}}
	s, _ := start(t, u)
	ctx, cancel := context.WithCancel(t.Context())
	config, end := s.Scoped(ctx)
	defer end()
	client, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	resp, err := client.Get(s.URL() + "/api/v1/namespaces/hotel/pods/geo/log?follow=true")
	require.NoError(t, err)
	defer resp.Body.Close()
	buf := make([]byte, 5)
	_, err = io.ReadFull(resp.Body, buf)
	require.NoError(t, err)
	require.Equal(t, "line\n", string(buf), "the stream is not flushed as it comes")
	cancel()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		require.Fail(t, "the upstream stream lives on")
	}
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	u := &upstream{handler: func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprintf(rw, "echo %s", line)
		_ = rw.Flush()
	}}
	s, _ := start(t, u)
	config := s.RESTConfig()
	config.NextProtos = []string{"http/1.1"}
	client, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/api/v1/namespaces/hotel/pods/geo/exec", nil)
	require.NoError(t, err)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "SPDY/3.1")
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	stream, ok := resp.Body.(io.ReadWriteCloser)
	require.True(t, ok)
	_, err = io.WriteString(stream, "hello\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(stream)
	require.NoError(t, err)
	require.Equal(t, "echo hello\n", string(answer))
}

// TestUpgradeOfAWatch: the API server would serve it over WebSocket, past the filter.
func TestUpgradeOfAWatch(t *testing.T) {
	t.Parallel()
	u := &upstream{}
	s, client := start(t, u)
	for _, path := range []string{"/api/v1/events?watch=1", "/api/v1/namespaces/chaos-mesh/secrets?watch=1", "/api/v1/pods"} {
		code, body := ask(t, s, client, http.MethodGet, path, "", "Connection", "Upgrade", "Upgrade", "websocket")
		require.Equal(t, http.StatusBadRequest, code, body)
	}
	require.Zero(t, u.count(http.MethodGet))
}
