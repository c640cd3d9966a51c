package e2e

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

//go:embed workloads.yaml
var workloads string

// patience is how long the cluster may take to follow.
const patience = 60 * time.Second

// fixture is the cluster of all tests.
var fixture = clustertest.New(&embedded.Provider{}, cluster.Spec{Nodes: 2})

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }

// rig is the cluster with the pods that the examples select.
type rig struct {
	t    *testing.T
	rest *rest.Config
	kube kubernetes.Interface
	dyn  dynamic.Interface
}

func newRig(t *testing.T) *rig {
	t.Helper()
	c := fixture.Cluster(t)
	r := &rig{t: t, rest: c.RESTConfig()}
	var err error
	r.kube, err = kubernetes.NewForConfig(r.rest)
	require.NoError(t, err)
	r.dyn, err = dynamic.NewForConfig(r.rest)
	require.NoError(t, err)
	for _, object := range r.decode(workloads) {
		r.create(object)
	}
	r.eventually("pods run", func() (bool, string) {
		list, err := r.kube.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) < 8 {
			return false, fmt.Sprint("few pods: ", err)
		}
		for _, p := range list.Items {
			if !isReady(p) {
				return false, p.Name + " " + string(p.Status.Phase)
			}
		}
		return true, ""
	})
	return r
}

func isReady(p corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil
		}
	}
	return false
}

func (r *rig) eventually(what string, condition func() (bool, string)) {
	r.t.Helper()
	last := ""
	err := wait.PollUntilContextTimeout(r.t.Context(), 100*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		done, seen := condition()
		last = seen
		return done, nil
	})
	require.NoError(r.t, err, "%s: %s", what, last)
}

func (r *rig) decode(text string) []*unstructured.Unstructured {
	r.t.Helper()
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(r.t, err)
		if object.Object != nil {
			out = append(out, object)
		}
	}
}

func (r *rig) client(object *unstructured.Unstructured) dynamic.ResourceInterface {
	resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	if object.GroupVersionKind().Group == "chaos-mesh.org" {
		resource.Resource = strings.ToLower(object.GetKind())
	}
	if object.GetKind() == "Namespace" {
		return r.dyn.Resource(resource)
	}
	if object.GetNamespace() == "" {
		object.SetNamespace("default")
	}
	return r.dyn.Resource(resource).Namespace(object.GetNamespace())
}

func (r *rig) create(object *unstructured.Unstructured) {
	r.t.Helper()
	_, err := r.client(object).Create(r.t.Context(), object, metav1.CreateOptions{})
	require.NoError(r.t, err, "create %s %s", object.GetKind(), object.GetName())
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
	r.t.Helper()
	for _, object := range r.decode(exampleText(r.t, name)) {
		if object.GetAPIVersion() == "chaos-mesh.org/v1alpha1" {
			return object
		}
	}
	r.t.Fatalf("no chaos in %s", name)
	return nil
}

// inject creates a chaos object and waits for AllInjected. undo deletes it and waits until it is gone, which it is when
// Chaos Mesh has recovered it; it is called at the end of the test, too.
func (r *rig) inject(object *unstructured.Unstructured) (undo func()) {
	r.t.Helper()
	begin := time.Now()
	r.create(object)
	client := r.client(object)
	undo = func() {
		begin := time.Now()
		err := client.Delete(context.Background(), object.GetName(), metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return
		}
		require.NoError(r.t, err)
		r.eventually("recovered", func() (bool, string) {
			now, err := client.Get(context.Background(), object.GetName(), metav1.GetOptions{})
			return apierrors.IsNotFound(err), fmt.Sprint(now)
		})
		r.t.Logf("%s %s recovered in %s", object.GetKind(), object.GetName(), time.Since(begin).Round(time.Millisecond))
	}
	r.eventually("injected", func() (bool, string) {
		now, err := client.Get(r.t.Context(), object.GetName(), metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		status, _, _ := unstructured.NestedMap(now.Object, "status")
		conditions, _, _ := unstructured.NestedSlice(status, "conditions")
		for _, c := range conditions {
			if c := c.(map[string]any); c["type"] == "AllInjected" && c["status"] == "True" {
				return true, ""
			}
		}
		return false, fmt.Sprint(status)
	})
	r.t.Cleanup(undo)
	r.t.Logf("%s %s injected in %s", object.GetKind(), object.GetName(), time.Since(begin).Round(time.Millisecond))
	return undo
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

// exec runs a command in a pod's first container and returns its output and exit code.
func (r *rig) exec(namespace, pod string, argv ...string) (string, int) {
	r.t.Helper()
	req := r.kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: argv, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(r.rest, "POST", req.URL())
	require.NoError(r.t, err)
	var out, errs bytes.Buffer
	err = executor.StreamWithContext(r.t.Context(), remotecommand.StreamOptions{Stdout: &out, Stderr: &errs})
	var exit interface{ ExitStatus() int }
	if errors.As(err, &exit) {
		return out.String() + errs.String(), exit.ExitStatus()
	}
	require.NoError(r.t, err, "exec in %s: %s", pod, errs.String())
	return out.String() + errs.String(), 0
}

// pods returns the ready pods with a label.
func (r *rig) pods(label string) []corev1.Pod {
	r.t.Helper()
	list, err := r.kube.CoreV1().Pods("default").List(r.t.Context(), metav1.ListOptions{LabelSelector: label})
	require.NoError(r.t, err)
	var out []corev1.Pod
	for _, p := range list.Items {
		if isReady(p) {
			out = append(out, p)
		}
	}
	return out
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
	r.t.Helper()
	var out []request
	for range n {
		argv := append([]string{"curl", "-s", "-m", "3", "-w", "\n%{time_total} %{http_code}"}, options...)
		text, exit := r.exec(namespace, pod, append(argv, url)...)
		body, tail, _ := cutLast(text, "\n")
		var q request
		q.exit, q.body = exit, body
		fields := strings.Fields(tail)
		require.Len(r.t, fields, 2, text)
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
