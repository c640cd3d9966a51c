package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

// website is a Service whose answers have the status code that one asks for, and a pod for the chaos of the example.
const website = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - {name: main, image: "registry.k8s.io/e2e-test-images/agnhost:2.59", args: [netexec, --http-port=8080, --udp-port=-1]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: bystander, labels: {app: hello-kubernetes}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "registry.local/library/busybox:1.36", args: [sh, -c, "sleep 100000"]}]
`

// TestStatusChecks: Chaos Mesh asks a Service of the cluster by HTTP, alone and in workflows.
func TestStatusChecks(t *testing.T) {
	t.Parallel()
	r := fixture.Rig(t)
	r.Apply(website)
	r.Running("web")
	r.Running("bystander")
	for _, tc := range []struct {
		name string
		run  func(*clustertest.Rig)
	}{
		{"thresholds", thresholds}, {"the example goes on", checkedWorkflow}, {"workflow is aborted", abortedWorkflow},
		{"workflow is not aborted", failedCheck}, {"wrong checks", rejectedChecks},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.run(r.With(t)) })
	}
}

// answering is the address at which the website answers with a status code.
func answering(r *clustertest.Rig, code int) string {
	return fmt.Sprintf("http://web.%s/echo?msg=hello&code=%d", r.Namespace, code)
}

// check is a StatusCheck that asks every second, with further fields.
func check(name, url, codes string, fields ...string) string {
	return fmt.Sprintf(`
apiVersion: chaos-mesh.org/v1alpha1
kind: StatusCheck
metadata: {name: %s}
spec:
  type: HTTP
  intervalSeconds: 1
  timeoutSeconds: 2
  http: {url: "%s", method: GET, criteria: {statusCode: "%s"}}
  %s
`, name, url, codes, strings.Join(fields, "\n  "))
}

// thresholds starts all checks at once: each takes seconds.
func thresholds(r *clustertest.Rig) {
	direct := fmt.Sprintf("http://%s:8080/echo?msg=hello&code=200", r.Running("web").Status.PodIP)
	cases := []struct {
		name, text string
		// condition is the one that holds besides Completed, outcome that of the newest records.
		condition, outcome string
		// newest is how many records of that outcome there are at the end, count how often it has asked at least.
		newest, count int
	}{
		{"success", check("success", answering(r, 200), "200", "successThreshold: 3"), "SuccessThresholdExceed", "Success", 3, 3},
		{"range", check("range", answering(r, 404), "400-499"), "SuccessThresholdExceed", "Success", 1, 1},
		{"pod", check("pod", direct, "200"), "SuccessThresholdExceed", "Success", 1, 1},
		{"failure", check("failure", answering(r, 503), "200-399", "failureThreshold: 2"), "FailureThresholdExceed", "Failure", 2, 2},
		{"no such port", check("port", fmt.Sprintf("http://web.%s:81/", r.Namespace), "200", "failureThreshold: 1"), "FailureThresholdExceed", "Failure", 1, 1},
		{"no such name", check("nowhere", "http://nowhere.example/", "200", "failureThreshold: 2"), "FailureThresholdExceed", "Failure", 2, 2},
		{"duration", check("duration", answering(r, 200), "200", "mode: Continuous", "duration: 5s", "recordsHistoryLimit: 2"), "DurationExceed", "Success", 2, 3},
	}
	for _, tc := range cases {
		r.Apply(tc.text)
	}
	for _, tc := range cases {
		r.T.Run(tc.name, func(t *testing.T) {
			r := r.With(t)
			o := r.Decode(tc.text)[0]
			defer func() { require.NoError(t, r.Client(o).Delete(t.Context(), o.GetName(), metav1.DeleteOptions{})) }()
			condition(r, o, "Completed")
			now := status(r, o)
			conditions := fmt.Sprint(now["conditions"])
			require.True(t, isTrue(unstructured.Unstructured{Object: map[string]any{"status": now}}, tc.condition), conditions)
			records, _, _ := unstructured.NestedSlice(now, "records")
			outcomes := outcomesOf(records)
			require.GreaterOrEqual(t, len(outcomes), tc.newest)
			require.Equal(t, slices.Repeat([]string{tc.outcome}, tc.newest), outcomes[len(outcomes)-tc.newest:])
			count, _, _ := unstructured.NestedInt64(now, "count")
			require.GreaterOrEqual(t, count, int64(tc.count))
			require.NotEmpty(t, now["completionTime"])
		})
	}
}

func outcomesOf(records []any) []string {
	out := []string{}
	for _, record := range records {
		if fields, ok := record.(map[string]any); ok {
			out = append(out, fmt.Sprint(fields["outcome"]))
		}
	}
	return out
}

// checked is Chaos Mesh's example of a workflow with a status check, which asks the website every second. Each of its two parts goes on for
// lasting.
func checked(r *clustertest.Rig, name, lasting string) *unstructured.Unstructured {
	text := strings.NewReplacer("http://123.123.123.123", answering(r, 200), "deadline: 20s", "deadline: "+lasting, "try-workflow-status-check", name).
		Replace(exampleText(r.T, "workflow/status-check.yaml"))
	o := r.Decode(text)[0]
	// kubectl apply leaves an annotation, and Chaos Mesh relies on one: it aborts a workflow by one more in a map that must be there.
	o.SetAnnotations(map[string]string{"example.com/owner": "sre"})
	setCheck(r, o, "intervalSeconds", int64(1))
	setCheck(r, o, "timeoutSeconds", int64(2))
	return o
}

// setCheck sets a field of the status check in a workflow.
func setCheck(r *clustertest.Rig, workflow *unstructured.Unstructured, field string, v any) {
	r.T.Helper()
	edit(r, workflow, func(template map[string]any) {
		template["statusCheck"].(map[string]any)[field] = v
	})
}

// edit edits the template of the status check in a workflow.
func edit(r *clustertest.Rig, workflow *unstructured.Unstructured, change func(template map[string]any)) {
	r.T.Helper()
	templates, found, err := unstructured.NestedSlice(workflow.Object, "spec", "templates")
	require.NoError(r.T, err)
	require.True(r.T, found)
	for _, t := range templates {
		if template := t.(map[string]any); template["templateType"] == "StatusCheck" {
			change(template)
		}
	}
	require.NoError(r.T, unstructured.SetNestedSlice(workflow.Object, templates, "spec", "templates"))
}

func start(r *clustertest.Rig, workflow *unstructured.Unstructured) {
	r.T.Helper()
	_, err := r.Client(workflow).Create(r.T.Context(), workflow, metav1.CreateOptions{})
	require.NoError(r.T, err)
}

// goes takes the website away, and with it the connection that the check keeps open; it is back at the end.
func goes(r *clustertest.Rig) (comesBack func()) {
	r.T.Helper()
	r.DeletePod("web")
	return func() {
		r.Apply(website)
		r.Running("web")
	}
}

// successes counts the outcomes of the one status check that a workflow has made.
func successes(r *clustertest.Rig, workflow string) int {
	r.T.Helper()
	found, err := r.Client(ofKind("StatusCheck", "")).List(r.T.Context(), metav1.ListOptions{LabelSelector: "chaos-mesh.org/workflow=" + workflow})
	require.NoError(r.T, err)
	n := 0
	for _, o := range found.Items {
		records, _, _ := unstructured.NestedSlice(o.Object, "status", "records")
		for _, outcome := range outcomesOf(records) {
			if outcome == "Success" {
				n++
			}
		}
	}
	return n
}

// checkedWorkflow: while the website answers, the workflow goes on to its end.
func checkedWorkflow(r *clustertest.Rig) {
	start(r, checked(r, "goes-on", "15s"))
	r.Eventually("chaos is injected while the check succeeds", func() (bool, string) {
		n, chaos := successes(r, "goes-on"), list(r, "NetworkChaos")
		return n >= 2 && len(chaos) == 1, fmt.Sprint(n, chaos)
	})
	accomplished(r, "goes-on")
	require.Empty(r.T, aborted(r, "goes-on"))
	gone(r, "NetworkChaos")
	gone(r, "StatusCheck")
}

// aborted is the annotation of a workflow that was aborted.
func aborted(r *clustertest.Rig, workflow string) string {
	r.T.Helper()
	o, err := r.Client(ofKind("Workflow", workflow)).Get(r.T.Context(), workflow, metav1.GetOptions{})
	require.NoError(r.T, err)
	return o.GetAnnotations()["workflow.chaos-mesh.org/abort"]
}

// abortedWorkflow: when the website is gone for as many times as the threshold says, the workflow ends, and its chaos with it, long before
// their deadline.
func abortedWorkflow(r *clustertest.Rig) {
	workflow := checked(r, "guarded", "200s")
	edit(r, workflow, func(template map[string]any) { template["abortWithStatusCheck"] = true })
	start(r, workflow)
	r.Eventually("chaos is injected while the check succeeds", func() (bool, string) {
		n, chaos := successes(r, "guarded"), list(r, "NetworkChaos")
		return n >= 2 && len(chaos) == 1, fmt.Sprint(n, chaos)
	})
	require.Empty(r.T, aborted(r, "guarded"))
	defer goes(r)()
	accomplished(r, "guarded")
	require.Equal(r.T, "true", aborted(r, "guarded"))
	gone(r, "NetworkChaos")
	gone(r, "StatusCheck")
}

// failedCheck: without the wish to abort, a check that fails ends alone.
func failedCheck(r *clustertest.Rig) {
	defer goes(r)()
	workflow := checked(r, "unguarded", "20s")
	setCheck(r, workflow, "failureThreshold", int64(2))
	start(r, workflow)
	r.Eventually("the check has ended, and the chaos has not", func() (bool, string) {
		checks, chaos := list(r, "StatusCheck"), list(r, "NetworkChaos")
		ended := false
		for _, o := range workflowNodes(r) {
			ended = ended || (strings.HasPrefix(o.GetName(), "workflow-status-check-") && isTrue(o, "Accomplished"))
		}
		return ended && len(chaos) == 1, fmt.Sprint(checks, chaos)
	})
	require.Empty(r.T, aborted(r, "unguarded"))
	accomplished(r, "unguarded")
	gone(r, "NetworkChaos")
}

func workflowNodes(r *clustertest.Rig) []unstructured.Unstructured {
	r.T.Helper()
	found, err := r.Client(ofKind("WorkflowNode", "")).List(r.T.Context(), metav1.ListOptions{LabelSelector: "chaos-mesh.org/workflow=unguarded"})
	require.NoError(r.T, err)
	return found.Items
}

func rejectedChecks(r *clustertest.Rig) {
	for _, tc := range []struct{ text, want string }{
		{check("wrong", "nowhere", "200"), "url"},
		{check("wrong", answering(r, 200), "all of them"), "status code"},
		{check("wrong", answering(r, 200), "200", "mode: Sometimes"), "spec.mode"},
		{check("wrong", answering(r, 200), "200", "failureThreshold: 0"), "spec.failureThreshold"},
	} {
		require.Contains(r.T, r.Rejected(tc.text), tc.want)
	}
}
