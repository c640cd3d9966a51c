package admission

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func containsText(err error, text string) bool {
	return err != nil && strings.Contains(err.Error(), text)
}

// warnings collects what the API server warns of.
type warnings struct {
	mu    sync.Mutex
	texts []string
}

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, text)
}

func (w *warnings) all() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.texts, "\n")
}

func TestPodSecurity(t *testing.T) {
	r := fixture.Rig(t)
	label := func(mode, level string) {
		_, err := r.Kube.CoreV1().Namespaces().Patch(t.Context(), r.Namespace, types.MergePatchType,
			fmt.Appendf(nil, `{"metadata":{"labels":{"pod-security.kubernetes.io/%s":%q}}}`, mode, level), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	label("warn", "restricted")
	label("audit", "restricted")
	heard := &warnings{}
	access := rest.CopyConfig(r.REST)
	access.WarningHandler = heard
	client, err := kubernetes.NewForConfig(access)
	require.NoError(t, err)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "plain"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "registry.k8s.io/pause:3.10.1"}}},
	}
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	r.Eventually("the namespace warns", func() (bool, string) {
		_, err := client.CoreV1().Pods(r.Namespace).Create(t.Context(), pod, dry)
		require.NoError(t, err, "warn and audit let everything in")
		return strings.Contains(heard.all(), `would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false`), heard.all()
	})
	label("enforce", "baseline")
	host := pod.DeepCopy()
	host.Spec.HostNetwork = true
	r.Eventually("the namespace refuses host namespaces", func() (bool, string) {
		_, err := client.CoreV1().Pods(r.Namespace).Create(t.Context(), host, dry)
		return apierrors.IsForbidden(err) && containsText(err, `violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`), fmt.Sprint(err)
	})
	_, err = client.CoreV1().Pods(r.Namespace).Create(t.Context(), pod, dry)
	require.NoError(t, err, "what baseline allows")
}

func TestResourceQuota(t *testing.T) {
	r := fixture.Rig(t)
	r.Apply(`
apiVersion: v1
kind: ResourceQuota
metadata: {name: few}
spec: {hard: {pods: "2", requests.memory: 100Mi}}
`)
	r.Eventually("the quota counts", func() (bool, string) {
		q, err := r.Kube.CoreV1().ResourceQuotas(r.Namespace).Get(t.Context(), "few", metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) == 2, fmt.Sprint(q, err)
	})
	require.Contains(t, r.Rejected(box("bare", "")), "failed quota: few: must specify requests.memory for: main")
	r.Apply(deployment("many", 3, `{requests: {memory: 40Mi}}`))
	r.Eventually("two of three run", func() (bool, string) {
		return len(r.ReadyPods("app=many")) == 2, fmt.Sprint(len(pods(r, "app=many")))
	})
	sets, err := r.Kube.AppsV1().ReplicaSets(r.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=many"})
	require.NoError(t, err)
	require.Len(t, sets.Items, 1)
	r.Event("ReplicaSet", sets.Items[0].Name, "FailedCreate", "exceeded quota: few")
	_, err = r.Kube.CoreV1().ResourceQuotas(r.Namespace).Patch(t.Context(), "few", types.MergePatchType,
		[]byte(`{"spec":{"hard":{"pods":"5","requests.memory":"1Gi"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	r.Available("many")
	r.Eventually("the quota shows what is used", func() (bool, string) {
		q, err := r.Kube.CoreV1().ResourceQuotas(r.Namespace).Get(t.Context(), "few", metav1.GetOptions{})
		require.NoError(t, err)
		used := q.Status.Used["requests.memory"]
		return used.String() == "120Mi", used.String()
	})
}

// deployment has replicas of a pod that waits, with these resources.
func deployment(name string, replicas int, resources string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s}
spec:
  replicas: %d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "registry.k8s.io/pause:3.10.1", resources: %[3]s}]
`, name, replicas, resources)
}

func TestLimitRange(t *testing.T) {
	r := fixture.Rig(t)
	r.Apply(`
apiVersion: v1
kind: LimitRange
metadata: {name: sizes}
spec:
  limits:
  - type: Container
    default: {memory: 64Mi}
    defaultRequest: {memory: 32Mi}
    max: {memory: 128Mi}
`)
	r.Eventually("the defaults are in force", func() (bool, string) {
		u := r.Decode(box("probe", ""))[0]
		got, err := r.Client(u).Create(t.Context(), u, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && strings.Contains(fmt.Sprint(got.Object["spec"]), "64Mi"), fmt.Sprint(got, err)
	})
	r.Apply(box("sized", ""))
	pod := r.Running("sized")
	require.Equal(t, "64Mi", pod.Spec.Containers[0].Resources.Limits.Memory().String())
	require.Equal(t, "32Mi", pod.Spec.Containers[0].Resources.Requests.Memory().String())
	require.Contains(t, r.Rejected(strings.Replace(box("large", ""), `"3600"]`, `"3600"], resources: {limits: {memory: 1Gi}}`, 1)),
		"maximum memory usage per Container is 128Mi, but limit is 1Gi")
	// The default is a limit like any: what takes more is killed.
	r.Apply(strings.NewReplacer("command: [sleep, \"3600\"]", `command: [sh, -c, "x=0123456789; while true; do x=$x$x; done"]`).
		Replace(box("grows", "  restartPolicy: Never\n")))
	r.Pod("grows", "is killed at the default limit", func(p *corev1.Pod) bool {
		for _, c := range p.Status.ContainerStatuses {
			if s := c.State.Terminated; s != nil && s.Reason == "OOMKilled" && s.ExitCode == 137 {
				return true
			}
		}
		return false
	})
}

func TestValidatingAdmissionPolicy(t *testing.T) {
	r := fixture.Rig(t)
	r.Apply(fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  failurePolicy: Fail
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]
  variables: [{name: most, expression: "int(params.data.most)"}]
  validations:
  - expression: object.spec.replicas <= variables.most
    messageExpression: "'at most ' + string(variables.most) + ' replicas'"
    reason: Invalid
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s}
spec:
  policyName: %[1]s
  validationActions: [Deny]
  paramRef: {name: limits, namespace: %[1]s, parameterNotFoundAction: Deny}
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: limits, namespace: %[1]s}
data: {most: "2"}
`, r.Namespace))
	try := func(replicas int) error {
		u := r.Decode(deployment("any", replicas, "{}"))[0]
		_, err := r.Client(u).Create(t.Context(), u, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	r.Eventually("the policy is in force", func() (bool, string) {
		err := try(3)
		return containsText(err, "denied request: at most 2 replicas"), fmt.Sprint(err)
	})
	require.NoError(t, try(2))
	var status apierrors.APIStatus
	require.ErrorAs(t, try(3), &status)
	require.Equal(t, int32(http.StatusUnprocessableEntity), status.Status().Code)
}
