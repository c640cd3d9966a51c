package e2e

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

//go:embed workloads.yaml
var workloads string

// fixture is the cluster of all tests.
var fixture = clustertest.New(&embedded.Provider{}, cluster.Spec{Nodes: 2})

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }

// rig is the cluster with the pods that the examples select.
type rig struct{ *clustertest.Rig }

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{fixture.In(t, metav1.NamespaceDefault)}
	for _, object := range r.Decode(workloads) {
		r.create(object)
	}
	r.Eventually("pods run", func() (bool, string) {
		list, err := r.Kube.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) < 8 {
			return false, fmt.Sprint("few pods: ", err)
		}
		for _, p := range list.Items {
			if !clustertest.IsReady(&p) {
				return false, p.Name + " " + string(p.Status.Phase)
			}
		}
		return true, ""
	})
	return r
}

func (r *rig) create(object *unstructured.Unstructured) {
	r.T.Helper()
	_, err := r.Client(object).Create(r.T.Context(), object, metav1.CreateOptions{})
	require.NoError(r.T, err, "create %s %s", object.GetKind(), object.GetName())
}

// exampleText reads a file of Chaos Mesh's examples folder.
func exampleText(t *testing.T, name string) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/chaos-mesh/chaos-mesh").Output()
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "examples", name))
	require.NoError(t, err)
	return string(data)
}

// example reads a manifest of Chaos Mesh's examples folder.
func (r *rig) example(name string) *unstructured.Unstructured {
	r.T.Helper()
	for _, object := range r.Decode(exampleText(r.T, name)) {
		if object.GetAPIVersion() == "chaos-mesh.org/v1alpha1" {
			return object
		}
	}
	r.T.Fatalf("no chaos in %s", name)
	return nil
}

// inject creates a chaos object and waits until it is injected. undo waits until it is recovered.
func (r *rig) inject(object *unstructured.Unstructured) (undo func()) {
	r.T.Helper()
	return r.Inject(object)
}

// all makes an example that picks one pod at random pick all, so that its effect is certain.
func all(object *unstructured.Unstructured) *unstructured.Unstructured {
	_ = unstructured.SetNestedField(object.Object, "all", "spec", "mode")
	if _, ok, _ := unstructured.NestedMap(object.Object, "spec", "target"); ok {
		_ = unstructured.SetNestedField(object.Object, "all", "spec", "target", "mode")
	}
	unstructured.RemoveNestedField(object.Object, "spec", "duration")
	return object
}

// request is one HTTP request as curl sees it.
type request struct {
	seconds float64
	code    int
	exit    int
	body    string
}

// get fetches a URL n times from a pod.
func (r *rig) get(namespace, pod, url string, n int, options ...string) []request {
	r.T.Helper()
	var out []request
	for range n {
		argv := append([]string{"curl", "-s", "-m", "3", "-w", "\n%{time_total} %{http_code}"}, options...)
		text, exit := r.In(namespace).Exec(pod, append(argv, url)...)
		body, tail, _ := cutLast(text, "\n")
		var q request
		q.exit, q.body = exit, body
		fields := strings.Fields(tail)
		require.Len(r.T, fields, 2, text)
		q.seconds, _ = strconv.ParseFloat(fields[0], 64)
		q.code, _ = strconv.Atoi(fields[1])
		out = append(out, q)
	}
	return out
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(strings.TrimRight(s, "\n"), sep)
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+len(sep):], true
}

func mean(requests []request) float64 {
	sum := 0.0
	for _, q := range requests {
		sum += q.seconds
	}
	return sum / float64(len(requests))
}

func failed(requests []request) int {
	n := 0
	for _, q := range requests {
		if q.exit != 0 {
			n++
		}
	}
	return n
}
