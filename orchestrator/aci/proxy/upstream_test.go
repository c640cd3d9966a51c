package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/orchestrator/aci/proxy"
)

// upstream is a fake API server: canned answers by "METHOD path", and what it was asked.
type upstream struct {
	mu      sync.Mutex
	answers map[string]string
	asked   []*http.Request
	bodies  []string
	handler http.HandlerFunc
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	u.asked = append(u.asked, r)
	u.bodies = append(u.bodies, string(body))
	answer, ok := u.answers[r.Method+" "+r.URL.Path]
	u.mu.Unlock()
	if u.handler != nil {
		u.handler(w, r)
		return
	}
	if !ok {
		http.Error(w, "no answer for "+r.Method+" "+r.URL.Path, http.StatusTeapot)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer)
}

func (u *upstream) last() (*http.Request, string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked[len(u.asked)-1], u.bodies[len(u.bodies)-1]
}

func (u *upstream) count(method string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for _, r := range u.asked {
		if r.Method == method {
			n++
		}
	}
	return n
}

func start(t *testing.T, u *upstream, more ...func(*proxy.Config)) (*proxy.Server, *http.Client) {
	t.Helper()
	fake := httptest.NewServer(u)
	t.Cleanup(fake.Close)
	config := proxy.Config{Upstream: &rest.Config{Host: fake.URL, BearerToken: "admin"}, Rules: proxy.DefaultRules("lab")}
	for _, m := range more {
		m(&config)
	}
	s, err := proxy.Start(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	client, err := rest.HTTPClientFor(s.RESTConfig())
	require.NoError(t, err)
	return s, client
}

func ask(t *testing.T, s *proxy.Server, client *http.Client, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(out)
}

const (
	chaosPod   = `{"metadata":{"name":"p1","namespace":"chaos-mesh"}}`
	labPod     = `{"metadata":{"name":"p2","namespace":"lab"}}`
	goodPod    = `{"metadata":{"name":"geo-1","namespace":"hotel","labels":{"app":"geo","gameday.dev/trial":"1"}}}`
	chaosCRD   = `{"metadata":{"name":"networkchaos.chaos-mesh.org"},"spec":{"group":"chaos-mesh.org"}}`
	goodCRD    = `{"metadata":{"name":"foos.example.com"},"spec":{"group":"example.com"}}`
	chaosEvent = `{"metadata":{"name":"x.1","namespace":"hotel"},"involvedObject":{"kind":"NetworkChaos","apiVersion":"chaos-mesh.org/v1alpha1","name":"x"},"reason":"Applied"}`
	goodEvent  = `{"metadata":{"name":"geo.1","namespace":"hotel"},"involvedObject":{"kind":"Pod","apiVersion":"v1","name":"geo"},"reason":"Killing"}`
)

func list(kind string, items ...string) string {
	return fmt.Sprintf(`{"kind":%q,"apiVersion":"v1","metadata":{"remainingItemCount":3},"items":[%s]}`, kind, strings.Join(items, ","))
}
