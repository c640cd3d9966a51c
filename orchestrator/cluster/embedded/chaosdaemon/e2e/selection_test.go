package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

// fleet makes four pods, two of each tier; the first of each tier has an annotation.
func fleet(r *clustertest.Rig) {
	for i, tier := range []string{"front", "front", "back", "back"} {
		r.Apply(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: p%d, labels: {app: fleet, tier: %s}, annotations: {number: "%d"}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: "registry.local/library/busybox:1.36", args: [sh, -c, "sleep 100000"]}]
`, i, tier, i%2))
	}
	for i := range 4 {
		r.Running(fmt.Sprintf("p%d", i))
	}
}

// shift is a TimeChaos with a selector, in YAML's flow style, and further fields.
func shift(selector string, fields ...string) string {
	return fmt.Sprintf(`
apiVersion: chaos-mesh.org/v1alpha1
kind: TimeChaos
metadata: {name: shift}
spec:
  timeOffset: 1h
  selector: %s
  %s
`, selector, strings.Join(fields, "\n  "))
}

// shifted injects a TimeChaos, and returns the pods whose time is off; they are right again afterwards.
func shifted(r *clustertest.Rig, text string) []string {
	r.T.Helper()
	_, undo := inject(r, text)
	defer undo()
	var out []string
	for i := range 4 {
		name := fmt.Sprintf("p%d", i)
		if r.OK(name, "date +%H") == time.Now().UTC().Add(time.Hour).Format("15") {
			out = append(out, name)
		}
	}
	return out
}

func TestSelection(t *testing.T) {
	t.Parallel()
	r := fixture.Rig(t)
	fleet(r)
	node := r.Running("p0").Spec.NodeName
	var beside []string // What runs on the node of p0.
	for i := range 4 {
		if p := r.Running(fmt.Sprintf("p%d", i)); p.Spec.NodeName == node {
			beside = append(beside, p.Name)
		}
	}
	all := []string{"p0", "p1", "p2", "p3"}
	for _, tc := range []struct {
		name, selector string
		want           []string
	}{
		{"namespaces", "{namespaces: [NAMESPACE]}", all},
		{"labelSelectors", "{labelSelectors: {tier: back}}", all[2:]},
		{"expressionSelectors", "{expressionSelectors: [{key: tier, operator: NotIn, values: [back]}]}", all[:2]},
		{"annotationSelectors", `{annotationSelectors: {number: "1"}}`, []string{"p1", "p3"}},
		{"fieldSelectors", "{fieldSelectors: {metadata.name: p2}}", []string{"p2"}},
		{"podPhaseSelectors", "{podPhaseSelectors: [Running], labelSelectors: {app: fleet}}", all},
		{"nodes", "{nodes: [NODE]}", beside},
		{"nodeSelectors", "{nodeSelectors: {kubernetes.io/hostname: NODE}}", beside},
		{"pods", "{pods: {NAMESPACE: [p1, p3]}}", []string{"p1", "p3"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			selector := strings.NewReplacer("NAMESPACE", r.Namespace, "NODE", node).Replace(tc.selector)
			require.Equal(t, tc.want, shifted(r.With(t), shift(selector, "mode: all")))
		})
	}
	for mode, count := range map[string]int{
		"mode: one": 1, "mode: all": 4, "mode: fixed\n  value: '3'": 3, "mode: fixed-percent\n  value: '50'": 2,
	} {
		t.Run(mode, func(t *testing.T) {
			require.Len(t, shifted(r.With(t), shift("{labelSelectors: {app: fleet}}", mode)), count)
		})
	}
	t.Run("mode: random-max-percent", func(t *testing.T) {
		got := shifted(r.With(t), shift("{labelSelectors: {app: fleet}}", "mode: random-max-percent\n  value: '50'"))
		require.LessOrEqual(t, len(got), 2)
	})
	t.Run("pause", func(t *testing.T) { pause(r.With(t)) })
	t.Run("duration", func(t *testing.T) {
		r := r.With(t)
		o, undo := inject(r, shift("{labelSelectors: {app: fleet}}", "mode: all", "duration: 5s"))
		defer undo()
		condition(r, o, "AllRecovered")
		require.Equal(t, time.Now().UTC().Format("15"), r.OK("p0", "date +%H"))
	})
}

func pause(r *clustertest.Rig) {
	o, undo := inject(r, shift("{labelSelectors: {app: fleet}}", "mode: all"))
	defer undo()
	annotate := func(value string) {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{"experiment.chaos-mesh.org/pause":%s}}}`, value)
		_, err := r.Client(o).Patch(r.T.Context(), o.GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		require.NoError(r.T, err)
	}
	annotate(`"true"`)
	condition(r, o, "Paused")
	condition(r, o, "AllRecovered")
	require.Equal(r.T, time.Now().UTC().Format("15"), r.OK("p0", "date +%H"))
	annotate("null")
	condition(r, o, "AllInjected")
	require.Equal(r.T, time.Now().UTC().Add(time.Hour).Format("15"), r.OK("p0", "date +%H"))
}

// list returns the names of the objects of a kind of Chaos Mesh in the rig's namespace.
func list(r *clustertest.Rig, kind string) []string {
	r.T.Helper()
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("chaos-mesh.org/v1alpha1")
	o.SetKind(kind)
	found, err := r.Client(o).List(r.T.Context(), metav1.ListOptions{})
	require.NoError(r.T, err)
	var out []string
	for _, item := range found.Items {
		out = append(out, item.GetName())
	}
	slices.Sort(out)
	return out
}

func TestSchedulesAndWorkflows(t *testing.T) {
	t.Parallel()
	r := fixture.Rig(t)
	fleet(r)
	for _, tc := range []struct {
		name string
		run  func(*clustertest.Rig)
	}{{"schedule", schedule}, {"task", task}, {"serial and parallel", serial}} {
		t.Run(tc.name, func(t *testing.T) { tc.run(r.With(t)) })
	}
}

// schedule makes chaos again and again.
func schedule(r *clustertest.Rig) {
	r.Apply(`
apiVersion: chaos-mesh.org/v1alpha1
kind: Schedule
metadata: {name: again}
spec:
  schedule: "@every 2s"
  type: TimeChaos
  historyLimit: 2
  concurrencyPolicy: Forbid
  timeChaos: {mode: all, selector: {labelSelectors: {app: fleet}}, timeOffset: 1h, duration: 3s}
`)
	seen := map[string]bool{}
	r.Eventually("the schedule has made chaos four times", func() (bool, string) {
		now := list(r, "TimeChaos")
		for _, name := range now {
			seen[name] = true
		}
		return len(seen) >= 4, fmt.Sprint(now)
	})
	o := r.Decode("{apiVersion: chaos-mesh.org/v1alpha1, kind: Schedule, metadata: {name: again}}")[0]
	require.NoError(r.T, r.Client(o).Delete(r.T.Context(), o.GetName(), metav1.DeleteOptions{}))
	gone(r, "TimeChaos")
}

// task runs the example whose task prints branch-b, and no other branch.
func task(r *clustertest.Rig) {
	r.Apply(strings.NewReplacer("image: busybox", "image: registry.local/library/busybox:1.36", `"app": "hello-kubernetes"`, "app: fleet", "20s", "4s").
		Replace(exampleText(r.T, "workflow/custom-task.yaml")))
	accomplished(r, "try-workflow-custom-task")
	nodes := fmt.Sprint(list(r, "WorkflowNode"))
	require.Contains(r.T, nodes, "workflow-network-chaos-")
	require.NotContains(r.T, nodes, "workflow-stress-chaos-")
	require.NotContains(r.T, nodes, "on-failed-")
	gone(r, "NetworkChaos")
}

func serial(r *clustertest.Rig) {
	r.Apply(`
apiVersion: chaos-mesh.org/v1alpha1
kind: Workflow
metadata: {name: serial}
spec:
  entry: entry
  templates:
    - {name: entry, templateType: Serial, deadline: 60s, children: [rest, both]}
    - {name: rest, templateType: Suspend, deadline: 1s}
    - {name: both, templateType: Parallel, deadline: 30s, children: [time, loss]}
    - name: time
      templateType: TimeChaos
      deadline: 3s
      timeChaos: {mode: all, selector: {labelSelectors: {app: fleet}}, timeOffset: 1h}
    - name: loss
      templateType: NetworkChaos
      deadline: 3s
      networkChaos: {action: delay, mode: all, selector: {labelSelectors: {tier: back}}, delay: {latency: 10ms}}
`)
	r.Eventually("both are there at once", func() (bool, string) {
		time, network := list(r, "TimeChaos"), list(r, "NetworkChaos")
		return len(time) == 1 && len(network) == 1, fmt.Sprint(time, network)
	})
	accomplished(r, "serial")
	gone(r, "TimeChaos")
	require.Equal(r.T, time.Now().UTC().Format("15"), r.OK("p0", "date +%H"))
}

// gone waits until no chaos of a kind is left.
func gone(r *clustertest.Rig, kind string) {
	r.T.Helper()
	r.Eventually("no "+kind+" is left", func() (bool, string) {
		now := list(r, kind)
		return len(now) == 0, fmt.Sprint(now)
	})
}

func accomplished(r *clustertest.Rig, workflow string) {
	r.T.Helper()
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("chaos-mesh.org/v1alpha1")
	o.SetKind("Workflow")
	o.SetName(workflow)
	condition(r, o, "Accomplished")
}
