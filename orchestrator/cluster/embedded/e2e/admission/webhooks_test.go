package admission

import (
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	certutil "k8s.io/client-go/util/cert"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

const server = `
apiVersion: v1
kind: Secret
metadata: {name: hook}
data: {tls.crt: %s, tls.key: %s}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hook}
spec:
  replicas: 1
  strategy: {type: Recreate}
  selector: {matchLabels: {app: hook}}
  template:
    metadata: {labels: {app: hook}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: hook
        image: registry.k8s.io/e2e-test-images/agnhost:2.59
        args: [webhook, --tls-cert-file=/tls/tls.crt, --tls-private-key-file=/tls/tls.key, --port=8444]
        readinessProbe: {httpGet: {scheme: HTTPS, path: /readyz, port: 8444}, periodSeconds: 1}
        volumeMounts: [{name: tls, mountPath: /tls}]
      volumes: [{name: tls, secret: {secretName: hook}}]
---
apiVersion: v1
kind: Service
metadata: {name: hook}
spec:
  selector: {app: hook}
  ports: [{port: 443, targetPort: 8444}]
`

// hooks is a rig whose namespace has a server of webhooks.
type hooks struct {
	*clustertest.Rig
	bundle string // The authority that signed the server's certificate, in base64.
}

func newHooks(t *testing.T) *hooks {
	t.Helper()
	r := fixture.Rig(t)
	cert, key, err := certutil.GenerateSelfSignedCertKey("hook."+r.Namespace+".svc", nil, nil)
	require.NoError(t, err)
	h := &hooks{r, base64.StdEncoding.EncodeToString(cert)}
	r.Apply(fmt.Sprintf(server, h.bundle, base64.StdEncoding.EncodeToString(key)))
	r.Available("hook")
	return h
}

// register registers a webhook for the ConfigMaps of the rig's namespace that have the label hook: NAME. kind is Mutating
// or Validating; more are further fields.
func (h *hooks) register(kind, name, path, more string) {
	h.T.Helper()
	h.Apply(fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: %sWebhookConfiguration
metadata: {name: %s-%s}
webhooks:
- name: %[3]s.example.com
  clientConfig: {caBundle: %[5]s, service: {namespace: %[2]s, name: hook, path: %[4]s}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[2]s}}
  objectSelector: {matchLabels: {hook: %[3]s}}
  sideEffects: None
  admissionReviewVersions: [v1]
%[6]s`, kind, h.Namespace, name, path, h.bundle, more))
}

// create creates a ConfigMap that only the webhook called name is asked about; dry, so that it can be repeated.
func (h *hooks) create(name, object string) (labels map[string]string, err error) {
	u := h.Decode(fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s, labels: {hook: %s}}}", object, name))[0]
	got, err := h.Client(u).Create(h.T.Context(), u, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return nil, err
	}
	return got.GetLabels(), nil
}

// refused waits until the webhook called name keeps an object out with these words; a registration takes a moment.
func (h *hooks) refused(name, words string) {
	h.T.Helper()
	h.Eventually("webhook "+name+" refuses: "+words, func() (bool, string) {
		_, err := h.create(name, "any")
		return err != nil && containsText(err, words), fmt.Sprint(err)
	})
}

// admitted waits until the webhook called name lets an object in.
func (h *hooks) admitted(name string) {
	h.T.Helper()
	h.Eventually("webhook "+name+" admits", func() (bool, string) {
		_, err := h.create(name, "any")
		return err == nil, fmt.Sprint(err)
	})
}

func (h *hooks) scale(replicas int) {
	h.T.Helper()
	_, err := h.Kube.AppsV1().Deployments(h.Namespace).Patch(h.T.Context(), "hook", types.MergePatchType,
		fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas), metav1.PatchOptions{}, "scale")
	require.NoError(h.T, err)
}

// args changes the server's command line.
func (h *hooks) args(list string) {
	h.T.Helper()
	_, err := h.Kube.AppsV1().Deployments(h.Namespace).Patch(h.T.Context(), "hook", types.StrategicMergePatchType,
		fmt.Appendf(nil, `{"spec":{"template":{"spec":{"containers":[{"name":"hook","args":%s}]}}}}`, list), metav1.PatchOptions{})
	require.NoError(h.T, err)
}

// TestWebhooks shares one server; the last part takes it away.
func TestWebhooks(t *testing.T) {
	h := newHooks(t)
	h.register("Mutating", "label", "/add-label", "  failurePolicy: Fail\n")
	h.register("Validating", "deny", "/always-deny", "  failurePolicy: Fail\n")
	h.register("Validating", "some", "/always-deny", `  failurePolicy: Fail
  matchConditions: [{name: only-some, expression: "object.metadata.name.startsWith('some-')"}]
`)
	h.register("Validating", "late-fail", "/always-allow-delay-5s", "  failurePolicy: Fail\n  timeoutSeconds: 1\n")
	h.register("Validating", "late-ignore", "/always-allow-delay-5s", "  failurePolicy: Ignore\n  timeoutSeconds: 1\n")
	h.register("Validating", "late-enough", "/always-allow-delay-5s", "  failurePolicy: Fail\n  timeoutSeconds: 10\n")
	h.register("Validating", "none-fail", "/always-deny", "  failurePolicy: Fail\n")
	h.register("Validating", "none-ignore", "/always-deny", "  failurePolicy: Ignore\n")
	h.Apply(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: ` + h.Namespace + `-stranger}
webhooks:
- name: stranger.example.com
  clientConfig: {service: {namespace: ` + h.Namespace + `, name: hook, path: /always-deny}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ` + h.Namespace + `}}
  objectSelector: {matchLabels: {hook: stranger}}
  sideEffects: None
  admissionReviewVersions: [v1]
  failurePolicy: Fail
`)
	part := func(name string, test func(h *hooks)) {
		t.Run(name, func(t *testing.T) { test(&hooks{h.With(t), h.bundle}) })
	}
	part("a mutating webhook changes objects", func(h *hooks) {
		h.Eventually("the label is added", func() (bool, string) {
			labels, err := h.create("label", "any")
			return labels["added-label"] == "yes", fmt.Sprint(labels, err)
		})
	})
	part("a validating webhook refuses", func(h *hooks) {
		h.refused("deny", `admission webhook "deny.example.com" denied the request: this webhook denies all requests`)
	})
	part("match conditions choose", func(h *hooks) {
		h.Eventually("the object of the condition is refused", func() (bool, string) {
			_, err := h.create("some", "some-object")
			return apierrors.IsForbidden(err) || containsText(err, "denied the request"), fmt.Sprint(err)
		})
		_, err := h.create("some", "another")
		require.NoError(h.T, err)
	})
	part("one that hangs counts as failed after its timeout", func(h *hooks) {
		h.refused("late-fail", `failed calling webhook "late-fail.example.com"`)
		_, err := h.create("late-fail", "any")
		require.ErrorContains(h.T, err, "context deadline exceeded")
		h.admitted("late-ignore")
		h.admitted("late-enough")
	})
	part("one whose certificate nobody vouches for counts as failed", func(h *hooks) {
		h.refused("stranger", "certificate signed by unknown authority")
	})
	part("one whose server is gone counts as failed", func(h *hooks) {
		h.refused("none-ignore", "denies all requests")
		h.scale(0)
		h.refused("none-fail", `failed calling webhook "none-fail.example.com"`)
		h.admitted("none-ignore")
		h.scale(1)
		h.refused("none-ignore", "denies all requests")
	})
	part("one whose server crashes counts as failed until it is mended", func(h *hooks) {
		h.args(`["webhook", "--no-such-flag"]`)
		h.refused("none-fail", `failed calling webhook "none-fail.example.com"`)
		h.Eventually("the server crashes again and again", func() (bool, string) {
			for _, p := range pods(h.Rig, "app=hook") {
				for _, c := range p.Status.ContainerStatuses {
					if c.RestartCount > 0 && c.LastTerminationState.Terminated != nil && c.LastTerminationState.Terminated.ExitCode != 0 {
						return true, ""
					}
				}
			}
			return false, "no restart"
		})
		h.args(`["webhook", "--tls-cert-file=/tls/tls.crt", "--tls-private-key-file=/tls/tls.key", "--port=8444"]`)
		h.refused("none-fail", "denies all requests")
	})
}
