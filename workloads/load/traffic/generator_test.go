package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program"
)

func osSystem(t *testing.T, args ...string) *program.Sys {
	t.Helper()
	im := Image()
	sys, err := program.System(&im, args)
	require.NoError(t, err)
	sys.Stderr = io.Discard
	return sys
}

// runFor runs a generator until it has ended n requests, and returns it.
func runFor(t *testing.T, p Profile, start time.Time, n uint64) *Generator {
	t.Helper()
	g, err := New(p, start, osSystem(t).Net, clock.RealClock{}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); g.Run(ctx) }()
	require.Eventually(t, func() bool { all, _ := g.Status().Sent(); return all >= n }, 20*time.Second, 5*time.Millisecond)
	cancel()
	<-done
	return g
}

func TestSlowAnswersDoNotSlowTheLoad(t *testing.T) {
	t.Parallel()
	var seen atomic.Int64
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	p := profileWith(200, Constant)
	p.Target = server.URL
	p.Routes = p.Routes[:1]
	p.Routes[0].Timeout = 300 * time.Millisecond
	p.MaxInFlight = 20
	begin := time.Now()
	g := runFor(t, p, begin, 150)
	s := g.Status()
	o := s.Routes[0].Outcomes
	require.Zero(t, o[outcomeOK])
	require.Positive(t, o[outcomeTimeout], "%v", o)
	require.Positive(t, o[outcomeDropped], "%v", o)
	// What is due comes at its rate, although no request is answered.
	require.InDelta(t, time.Since(begin).Seconds()*200, float64(s.Due), 0.25*float64(s.Due)+10)
	require.NotEmpty(t, s.Routes[0].LastErrors[outcomeTimeout])
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/conflict":
			w.WriteHeader(http.StatusConflict)
		case "/bad":
			w.WriteHeader(http.StatusBadGateway)
		case "/broken":
			panic(http.ErrAbortHandler)
		case "/late":
			// The end of the client shows once the body has been read.
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}
		fmt.Fprint(w, "hello")
	}))
	t.Cleanup(server.Close)
	dead, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, dead.Close())
	tests := []struct {
		path, target, body string
		expect             []int
		outcome, code      string
	}{
		{"/", server.URL, "hello", nil, outcomeOK, "200"},
		{"/conflict", server.URL, "", []int{200, 409}, outcomeOK, "409"},
		{"/conflict", server.URL, "", nil, outcomeStatus, "409"},
		{"/bad", server.URL, "", nil, outcomeStatus, "502"},
		{"/", server.URL, "bye", nil, outcomeBody, "200"},
		{"/broken", server.URL, "", nil, outcomeBroken, "0"},
		{"/late", server.URL, "", nil, outcomeTimeout, "0"},
		{"/", "http://" + dead.Addr().String(), "", nil, outcomeConnect, "0"},
		{"/", "http://nobody.invalid:80", "", nil, outcomeConnect, "0"},
	}
	for _, tc := range tests {
		t.Run(tc.path+" "+tc.outcome, func(t *testing.T) {
			t.Parallel()
			p := profileWith(50, Constant)
			p.Target = tc.target
			p.Routes = []Route{{Name: "r", Method: "POST", Path: tc.path, Body: "x=1", Weight: 1, Timeout: 2 * time.Second, ExpectStatus: tc.expect, ExpectBody: tc.body}}
			if tc.outcome == outcomeTimeout {
				p.Routes[0].Timeout = 50 * time.Millisecond
			}
			g := runFor(t, p, time.Now(), 3)
			require.Zero(t, others(g, tc.outcome), "%+v", g.Status())
			rec := httptest.NewRecorder()
			g.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			require.Contains(t, rec.Body.String(), fmt.Sprintf(`loadgen_requests_total{code=%q,outcome=%q,route="r"}`, tc.code, tc.outcome))
		})
	}
}

func others(g *Generator, outcome string) (n uint64) {
	for o, c := range g.Status().Routes[0].Outcomes {
		if o != outcome {
			n += c
		}
	}
	return n
}

// TestARestartGoesOn: a generator that starts again sends what is due from now on, and nothing twice.
func TestARestartGoesOn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	keys := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		keys[r.Header.Get("Idempotency-Key")]++
	}))
	defer server.Close()
	p := profileWith(300, Poisson)
	p.Target = server.URL
	for i := range p.Routes {
		p.Routes[i].Headers = map[string]string{"Idempotency-Key": "{{.ID}}"}
	}
	start := time.Now().Add(-time.Hour)
	first := runFor(t, p, start, 40)
	second := runFor(t, p, start, 40)
	require.InDelta(t, 3600*300, float64(first.Status().Due), 5000)
	require.Greater(t, second.Status().Due, first.Status().Due)
	mu.Lock()
	defer mu.Unlock()
	require.GreaterOrEqual(t, len(keys), 80)
	for k, n := range keys {
		require.Equal(t, 1, n, "request %s was sent twice", k)
	}
}

func TestProgram(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	defer server.Close()
	p := profileWith(100, Constant)
	p.Target = server.URL
	data, err := yaml.Marshal(p)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "profile.yaml")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	sys := osSystem(t, "--profile", file, "--address", address)
	go func() { done <- Run(ctx, sys) }()
	get := func(path string) string {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	require.Eventually(t, func() bool {
		var s Status
		_ = json.Unmarshal([]byte(get("/status")), &s)
		all, good := s.Sent()
		return all > 20 && all == good
	}, 10*time.Second, 20*time.Millisecond)
	require.Contains(t, get("/metrics"), "loadgen_schedule_lag_seconds_bucket")
	cancel()
	require.NoError(t, <-done)
}

func TestProgramUsage(t *testing.T) {
	t.Parallel()
	var exit *program.ExitError
	require.ErrorAs(t, Run(t.Context(), osSystem(t, "--nope")), &exit)
	require.Equal(t, 2, exit.Code)
	require.ErrorContains(t, Run(t.Context(), osSystem(t, "--profile", "/does/not/exist")), "read profile")
}
