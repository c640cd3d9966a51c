package kubectl_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/orchestrator/aci/kubectl"
)

// api is a tiny API server with ConfigMaps and Pods.
type api struct {
	mu       sync.Mutex
	requests []string
	bodies   []string
	hang     chan struct{}
}

const resources = `{"kind":"APIResourceList","groupVersion":"v1","resources":[
 {"name":"configmaps","singularName":"configmap","namespaced":true,"kind":"ConfigMap","shortNames":["cm"],"verbs":["get","list","create","patch","delete","watch"]},
 {"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","shortNames":["po"],"verbs":["get","list","create","patch","delete","watch"]}]}`

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	a.requests = append(a.requests, r.Method+" "+r.URL.Path)
	a.bodies = append(a.bodies, string(body))
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	send := func(s string) { _, _ = io.WriteString(w, s) }
	switch {
	case r.URL.Path == "/api":
		send(`{"kind":"APIVersions","versions":["v1"]}`)
	case r.URL.Path == "/apis":
		send(`{"kind":"APIGroupList","groups":[]}`)
	case r.URL.Path == "/api/v1":
		send(resources)
	case strings.HasSuffix(r.URL.Path, "/pods/slow/log"), r.URL.Query().Get("watch") == "true":
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-a.hang:
		}
	case strings.HasSuffix(r.URL.Path, "/log"):
		send("a log line\n")
	case strings.Contains(r.Header.Get("Content-Type"), "protobuf"):
		send(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"}}`)
	case r.Method == http.MethodPost, r.Method == http.MethodPatch:
		_, _ = w.Write(body)
	case strings.HasSuffix(r.URL.Path, "/configmaps"):
		send(`{"kind":"ConfigMapList","apiVersion":"v1","metadata":{},"items":[{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"` + r.URL.Path + `"}}]}`)
	case strings.HasSuffix(r.URL.Path, "/pods"), strings.HasSuffix(r.URL.Path, "/pods/geo"), strings.HasSuffix(r.URL.Path, "/pods/slow"):
		name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		one := fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":%q,"namespace":"hotel"},"spec":{"containers":[{"name":"c"}]},"status":{"phase":"Running"}}`, name)
		if name == "pods" {
			one = `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}`
		}
		send(one)
	default:
		w.WriteHeader(http.StatusNotFound)
		send(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"the thing was not found","code":404}`)
	}
}

func setup(t *testing.T) (*kubectl.Kubectl, *api, string) {
	t.Helper()
	a := &api{hang: make(chan struct{})}
	server := httptest.NewServer(a)
	t.Cleanup(func() {
		close(a.hang)
		server.Close()
	})
	workspace := t.TempDir()
	k, err := kubectl.New(kubectl.Direct{Config: &rest.Config{Host: server.URL, QPS: -1}}, "hotel", workspace)
	require.NoError(t, err)
	return k, a, workspace
}

func TestCommands(t *testing.T) {
	t.Parallel()
	k, a, workspace := setup(t)
	outside := filepath.Join(t.TempDir(), "secret.yaml")
	const manifest = "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: secret\ndata: {key: TOP-SECRET}\n"
	write := func(path, content string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	write(outside, manifest)
	write(filepath.Join(workspace, "cm.yaml"), strings.ReplaceAll(manifest, "secret", "mine"))
	write(filepath.Join(workspace, "dir", "cm.yaml"), manifest)
	write(filepath.Join(workspace, "good", "kustomization.yaml"), "resources: [cm.yaml]\n")
	write(filepath.Join(workspace, "good", "cm.yaml"), strings.ReplaceAll(manifest, "secret", "kustomized"))
	write(filepath.Join(workspace, "remote", "kustomization.yaml"), "resources: ['https://example.com/x.yaml']\n")
	write(filepath.Join(workspace, "git", "kustomization.yaml"), "resources: ['github.com/a/b?ref=main']\n")
	write(filepath.Join(workspace, "fetch", "kustomization.yaml"), "configMapGenerator: [{name: a, files: ['x=http://127.0.0.1:1/x']}]\n")
	write(filepath.Join(workspace, "literal", "kustomization.yaml"), "configMapGenerator: [{name: a, literals: ['url=http://geo:8080/x']}]\n")
	write(filepath.Join(workspace, "climb", "kustomization.yaml"), "resources: ['../../../"+filepath.Base(outside)+"']\n")
	write(filepath.Join(workspace, "helm", "kustomization.yaml"), "helmCharts: [{name: x, repo: 'https://example.com'}]\n")
	require.NoError(t, os.Symlink(outside, filepath.Join(workspace, "link.yaml")))
	require.NoError(t, os.Symlink(outside, filepath.Join(workspace, "dir", "link.yaml")))

	const confined = "only files of the workspace"
	for _, tc := range []struct {
		line, stdin string
		want        string
		failed      bool
	}{
		{line: "get cm", want: "/api/v1/namespaces/hotel/configmaps"},
		{line: "kubectl get configmaps -n other", want: "/api/v1/namespaces/other/configmaps"},
		{line: `get cm -o jsonpath='{.items[0].kind}'`, want: "ConfigMap"},
		{line: "get cm 2>&1", want: "configmaps"},
		{line: "get nothings", want: `the server doesn't have a resource type "nothings"`, failed: true},
		{line: "get pod nosuch", want: "the thing was not found", failed: true},
		{line: "frobnicate", want: `unknown command "frobnicate"`, failed: true},
		{line: "get cm --frob", want: "unknown flag: --frob", failed: true},
		{line: "logs geo", want: "a log line"},
		{line: "help", want: "Troubleshooting"},
		{line: "", want: "kubectl controls"},
		{line: "create -f cm.yaml --validate=false", want: "configmap/mine created"},
		{line: "create -f " + filepath.Join(workspace, "cm.yaml") + " --validate=false", want: "configmap/mine created"},
		{line: "create -f - --validate=false", stdin: manifest, want: "configmap/secret created"},
		{line: "create -f - --validate=false <<EOF\n" + manifest + "EOF", want: "configmap/secret created"},
		{line: "create -f -", want: "give the call stdin", failed: true},
		{line: "create -k good --validate=false", want: "configmap/kustomized created"},
		{line: "create configmap x --from-literal=a=b --validate=false", want: "configmap/x created"},
		{line: "create configmap x --from-file=k=cm.yaml --validate=false", want: "configmap/x created"},
		// What reaches outside.
		{line: "create -f " + outside, want: confined, failed: true},
		{line: "create -f ../" + filepath.Base(outside), want: confined, failed: true},
		{line: "create -f link.yaml", want: confined, failed: true},
		{line: "create -f dir", want: confined, failed: true},
		{line: "create -f 'l*.yaml'", want: confined, failed: true},
		{line: "create -f cm.yaml," + outside, want: confined, failed: true},
		{line: "create --filename=" + outside, want: confined, failed: true},
		{line: "create -f http://127.0.0.1:1/x.yaml", want: confined, failed: true},
		{line: "apply -k remote", want: confined, failed: true},
		{line: "apply -k git", want: confined, failed: true},
		{line: "apply -k fetch", want: confined, failed: true},
		{line: "create -k literal --validate=false", want: "created"},
		{line: "apply -k climb", want: confined, failed: true},
		{line: "apply -k helm", want: confined, failed: true},
		{line: "apply -k https://github.com/a/b", want: confined, failed: true},
		{line: "create configmap x --from-file=/etc/passwd", want: confined, failed: true},
		{line: "create configmap x --from-file=k=/etc/passwd", want: confined, failed: true},
		{line: "create configmap x --from-env-file=/etc/passwd", want: confined, failed: true},
		{line: "create secret tls x --cert=/etc/passwd --key=/etc/passwd", want: confined, failed: true},
		{line: "patch cm x --patch-file /etc/passwd", want: confined, failed: true},
		{line: "get cm -o go-template-file=/etc/passwd", want: confined, failed: true},
		{line: "get cm -o jsonpath-file --template /etc/passwd", want: confined, failed: true},
		{line: "get cm -o custom-columns-file=/etc/passwd", want: confined, failed: true},
		{line: "cluster-info dump --output-directory=/tmp/x", want: confined, failed: true},
		{line: "debug geo --image=x --custom=/etc/passwd", want: confined, failed: true},
		{line: "cp /etc/passwd geo:/tmp/x", want: confined, failed: true},
		{line: "cp geo:/tmp/x ../../x", want: confined, failed: true},
		{line: "cp geo:/tmp/x /tmp/x", want: confined, failed: true},
		// A stream that breaks fails the copy, and nothing but the copy.
		{line: "cp geo:/tmp/x x", want: "Error from server", failed: true},
		{line: "cp cm.yaml geo:/tmp/x", want: "Error from server", failed: true},
		{line: "cp cm.yaml", want: "source and destination are required", failed: true},
		{line: "cp cm.yaml dir", want: confined, failed: true},
		{line: "cp cm.yaml other.yaml", want: "must be a remote file", failed: true},
		{line: "cp geo:/a geo:/b", want: "must be a local file", failed: true},
		{line: "cp a/b/geo:/a x", want: "canonical format", failed: true},
		{line: "cp geo: x", want: "filepath can not be empty", failed: true},
		{line: "diff -f " + outside, want: confined, failed: true},
		// What is refused.
		{line: "config view --raw", want: "kubectl config is refused: the connection is fixed", failed: true},
		{line: "proxy --port=1", want: "kubectl proxy is refused", failed: true},
		{line: "edit cm x", want: "there is no editor", failed: true},
		{line: "apply edit-last-applied cm x", want: "there is no editor", failed: true},
		{line: "create -f cm.yaml --edit", want: "--edit is refused", failed: true},
		{line: "plugin list", want: "there are no plugins", failed: true},
		{line: "attach geo -it", want: "there is no terminal", failed: true},
		{line: "port-forward geo 80", want: "is refused", failed: true},
		{line: "kustomize /etc", want: "use apply -k", failed: true},
		{line: "get cm --kubeconfig=/root/.kube/config", want: "--kubeconfig is refused", failed: true},
		{line: "get cm --server http://127.0.0.1:1", want: "--server is refused", failed: true},
		{line: "get cm -s http://127.0.0.1:1", want: "--server is refused", failed: true},
		{line: "get cm --token x", want: "--token is refused", failed: true},
		{line: "get cm --as admin", want: "--as is refused", failed: true},
		{line: "get cm --context x", want: "--context is refused", failed: true},
		{line: "get cm --insecure-skip-tls-verify", want: "is refused", failed: true},
		// What needs a shell.
		{line: "get cm | grep x", want: "no pipes", failed: true},
		{line: "get cm; rm -rf /", want: "one command per call", failed: true},
		{line: "get cm && true", want: "no pipes", failed: true},
		{line: "get cm > /tmp/x", want: "no redirections", failed: true},
		{line: "get cm $(id)", want: "no $ expansions", failed: true},
		{line: `get cm "$HOME"`, want: "no $ expansions", failed: true},
		{line: "get cm 'unclosed", want: "parse command line", failed: true},
		{line: "get cm &", want: "background", failed: true},
	} {
		out := k.Run(t.Context(), kubectl.Command{Line: tc.line, Stdin: tc.stdin})
		require.Contains(t, out.Text, tc.want, tc.line)
		require.Equal(t, tc.failed, out.Failed, "%s: %s", tc.line, out.Text)
		require.NotContains(t, out.Text, workspace, tc.line)
		require.NotContains(t, out.Text, "TOP-SECRET", tc.line)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.requests {
		require.NotContains(t, r, "passwd")
	}
	left, err := filepath.Glob(filepath.Join(workspace, ".stdin-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestStdinReachesTheServer(t *testing.T) {
	t.Parallel()
	k, a, _ := setup(t)
	out := k.Run(t.Context(), kubectl.Command{Line: "create -f - --validate=false", Stdin: `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"},"data":{"a":"b c"}}`})
	require.False(t, out.Failed, out.Text)
	a.mu.Lock()
	defer a.mu.Unlock()
	var doc map[string]any
	require.NoError(t, json.Unmarshal([]byte(a.bodies[len(a.bodies)-1]), &doc))
	require.Equal(t, map[string]any{"a": "b c"}, doc["data"])
}

func TestBounds(t *testing.T) {
	t.Parallel()
	k, _, _ := setup(t)
	for _, tc := range []struct {
		line   string
		want   string
		failed bool
	}{
		{"logs -f slow", "[stopped after 300ms", false},
		{"get pods -w", "[stopped after 300ms", false},
		{"logs slow", "error: the command was stopped after 300ms", true},
	} {
		t.Run(tc.line, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			out := k.Run(t.Context(), kubectl.Command{Line: tc.line, Timeout: 300 * time.Millisecond})
			require.Contains(t, out.Text, tc.want)
			require.Equal(t, tc.failed, out.Failed)
			require.Less(t, time.Since(start), 2*time.Second)
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		out := k.Run(ctx, kubectl.Command{Line: "logs slow"})
		require.True(t, out.Failed)
		require.Contains(t, out.Text, "cancelled")
	})
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	k, _, _ := setup(t)
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			ns := fmt.Sprintf("ns%d", i)
			out := k.Run(t.Context(), kubectl.Command{Line: "get cm -n " + ns})
			if out.Failed || !strings.Contains(out.Text, "/"+ns+"/") {
				t.Errorf("%s: %s", ns, out.Text)
			}
			bad := k.Run(t.Context(), kubectl.Command{Line: "get nothings"})
			if !bad.Failed {
				t.Errorf("no failure: %s", bad.Text)
			}
		})
	}
	group.Wait()
}
