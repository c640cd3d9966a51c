package chaosdaemon

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"github.com/stretchr/testify/require"
)

// echo answers with what reached it.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Kind", "echo")
	if r.URL.Path == "/missing" {
		w.WriteHeader(http.StatusNotFound)
	}
	_ = json.NewEncoder(w).Encode(map[string]string{
		"method": r.Method, "path": r.URL.Path, "query": r.URL.RawQuery, "body": string(body), "x": r.Header.Get("X"), "host": r.Host, "proto": r.Proto,
	})
}

type httpRig struct {
	pod    *fakePod
	daemon pb.ChaosDaemonClient
	client *http.Client
}

// newHTTPRig puts an HTTP server at port 8080 of pod s1, whose clients meet the proxy where there is one.
func newHTTPRig(t *testing.T, h2 bool) *httpRig {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	server.Config.Protocols = &http.Protocols{}
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	n := newNode()
	pod := n.pods["s1"]
	pod.local = map[uint16]string{8080: server.Listener.Addr().String()}
	transport := &http.Transport{DisableKeepAlives: !h2, Protocols: &http.Protocols{}}
	transport.Protocols.SetHTTP1(!h2)
	transport.Protocols.SetUnencryptedHTTP2(h2)
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		pod.mu.Lock()
		handle := pod.handle
		pod.mu.Unlock()
		if handle == nil {
			return pod.DialLocal(ctx, 8080)
		}
		here, there := net.Pipe()
		go handle(there, 8080)
		return here, nil
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &httpRig{pod, start(t, n), &http.Client{Transport: transport}}
}

func (r *httpRig) apply(t *testing.T, rules string) *pb.ApplyHttpChaosResponse {
	t.Helper()
	req := &pb.ApplyHttpChaosRequest{ContainerId: c1, Rules: rules}
	if rules != "[]" {
		req.ProxyPorts = []uint32{8080}
	}
	resp, err := r.daemon.ApplyHttpChaos(t.Context(), req)
	require.NoError(t, err)
	return resp
}

func (r *httpRig) do(t *testing.T, method, target, body string) (*http.Response, map[string]string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://geo:8080"+target, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X", "original")
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	out := map[string]string{}
	if err := json.Unmarshal(data, &out); err != nil {
		out["raw"] = string(data)
	}
	return resp, out, nil
}

func TestHTTPRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, rules  string
		method, path string
		status       int
		want         map[string]string // of the echoed request
		header       map[string]string // of the response
	}{
		{"other path", `[{"target":"Request","selector":{"port":8080,"path":"/api/*"},"actions":{"replace":{"method":"PUT"}}}]`,
			"GET", "/hotels", 200, map[string]string{"method": "GET"}, nil},
		{"other method", `[{"target":"Request","selector":{"port":8080,"method":"POST"},"actions":{"replace":{"method":"PUT"}}}]`,
			"GET", "/", 200, map[string]string{"method": "GET"}, nil},
		{"other port", `[{"target":"Request","selector":{"port":9090},"actions":{"replace":{"method":"PUT"}}}]`,
			"GET", "/", 200, map[string]string{"method": "GET"}, nil},
		{"header selects", `[{"target":"Request","selector":{"request_headers":{"X":"original"}},"actions":{"replace":{"method":"PUT"}}}]`,
			"GET", "/", 200, map[string]string{"method": "PUT"}, nil},
		{"header does not select", `[{"target":"Request","selector":{"request_headers":{"X":"other"}},"actions":{"replace":{"method":"PUT"}}}]`,
			"GET", "/", 200, map[string]string{"method": "GET"}, nil},
		{"replace request", `[{"target":"Request","selector":{"path":"/a?i"},"actions":{"replace":{"path":"/other","method":"PUT","body":"aGVsbG8=","queries":{"q":"2"},"headers":{"X":"new"}}}}]`,
			"POST", "/api?q=1&r=3", 200, map[string]string{"method": "PUT", "path": "/other", "query": "q=2&r=3", "body": "hello", "x": "new", "host": "geo:8080"}, nil},
		{"patch request", `[{"target":"Request","selector":{},"actions":{"patch":{"body":{"type":"JSON","value":"{\"b\":2}"},"queries":[["q","2"]],"headers":[["Y","1"]]}}}]`,
			"POST", "/?q=1", 200, map[string]string{"body": `{"a":1,"b":2}`, "query": "q=1&q=2"}, nil},
		{"replace response", `[{"target":"Response","selector":{"path":"*"},"actions":{"replace":{"code":503,"body":"b29wcw==","headers":{"X-Kind":"changed"}}}}]`,
			"GET", "/", 503, map[string]string{"raw": "oops"}, map[string]string{"X-Kind": "changed", "Content-Length": "4"}},
		{"patch response", `[{"target":"Response","selector":{},"actions":{"patch":{"body":{"type":"JSON","value":"{\"status\":\"Failed\"}"},"headers":[["Set-Cookie","c"]]}}}]`,
			"GET", "/", 200, map[string]string{"status": "Failed", "method": "GET"}, map[string]string{"Set-Cookie": "c"}},
		{"response by code", `[{"target":"Response","selector":{"code":404},"actions":{"replace":{"code":500}}}]`,
			"GET", "/missing", 500, nil, nil},
		{"response by other code", `[{"target":"Response","selector":{"code":404},"actions":{"replace":{"code":500}}}]`,
			"GET", "/", 200, nil, nil},
		{"response by header", `[{"target":"Response","selector":{"response_headers":{"X-Kind":"echo"}},"actions":{"replace":{"code":500}}}]`,
			"GET", "/", 500, nil, nil},
	}
	for _, tc := range tests {
		for _, h2 := range []bool{false, true} {
			name := tc.name
			if h2 {
				name += " over HTTP/2"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				rig := newHTTPRig(t, h2)
				require.EqualValues(t, http.StatusOK, rig.apply(t, tc.rules).GetStatusCode())
				resp, got, err := rig.do(t, tc.method, tc.path, `{"a":1}`)
				require.NoError(t, err)
				require.Equal(t, tc.status, resp.StatusCode)
				for name, value := range tc.want {
					require.Equal(t, value, got[name], name)
				}
				for name, value := range tc.header {
					require.Equal(t, value, resp.Header.Get(name), name)
				}
			})
		}
	}
}

func TestHTTPAbortDelayAndRecovery(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"Request", "Response"} {
		for _, h2 := range []bool{false, true} {
			rig := newHTTPRig(t, h2)
			rig.apply(t, `[{"target":"`+target+`","selector":{"port":8080},"actions":{"abort":true}}]`)
			_, _, err := rig.do(t, "GET", "/", "")
			require.Error(t, err, target)

			rig.apply(t, `[{"target":"`+target+`","selector":{"port":8080},"actions":{"delay":"80ms"}}]`)
			begin := time.Now()
			_, got, err := rig.do(t, "GET", "/", "")
			require.NoError(t, err)
			require.GreaterOrEqual(t, time.Since(begin), 80*time.Millisecond)
			require.Equal(t, "GET", got["method"])

			rig.apply(t, `[]`)
			require.Nil(t, rig.pod.handle)
			rig.client.CloseIdleConnections()
			_, _, err = rig.do(t, "GET", "/", "")
			require.NoError(t, err)
		}
	}
}

func TestHTTPRulesRefused(t *testing.T) {
	t.Parallel()
	rig := newHTTPRig(t, false)
	for _, rules := range []string{
		`[{"target":"Both","selector":{},"actions":{}}]`,
		`[{"target":"Request","selector":{},"actions":{"delay":"soon"}}]`,
		`[{"target":"Request","selector":{},"actions":{"patch":{"body":{"type":"XML","value":"x"}}}}]`,
		`[{"target":"Request","selector":{},"actions":{"patch":{"headers":[["only"]]}}}]`,
	} {
		resp := rig.apply(t, rules)
		require.EqualValues(t, http.StatusBadRequest, resp.GetStatusCode(), rules)
		require.NotEmpty(t, resp.GetError())
	}
	require.Nil(t, rig.pod.handle)
}
