package addons

import (
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The names that Chaos Mesh's chart gives its webhook configurations.
const (
	mutation       = "chaos-mesh-mutation"
	validation     = "chaos-mesh-validation"
	authValidation = "chaos-mesh-validation-auth"
)

// plurals are the resources whose name is not their webhook's.
var plurals = map[string]string{
	"schedule": "schedules", "workflow": "workflows", "physicalmachine": "physicalmachines", "statuscheck": "statuschecks",
}

// WebhookTimeout is how long the API server waits for a webhook, in seconds: the chart's default.
const WebhookTimeout = 5

// Webhooks returns the registrations of Chaos Mesh's admission webhooks for kinds (lower case, as its controllers call
// them). They are the chart's, but for the address: a loopback URL on port, whose certificate caBundle vouches for.
func Webhooks(kinds []string, port int, caBundle []byte) (
	*admissionv1.MutatingWebhookConfiguration, []*admissionv1.ValidatingWebhookConfiguration,
) {
	none, fail, timeout := admissionv1.SideEffectClassNone, admissionv1.Fail, int32(WebhookTimeout)
	versions := []string{"v1", "v1beta1"}
	client := func(path string) admissionv1.WebhookClientConfig {
		url := fmt.Sprintf("https://127.0.0.1:%d%s", port, path)
		return admissionv1.WebhookClientConfig{URL: &url, CABundle: caBundle}
	}
	rules := func(resource string) []admissionv1.RuleWithOperations {
		return []admissionv1.RuleWithOperations{{
			Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
			Rule: admissionv1.Rule{
				APIGroups: []string{"chaos-mesh.org"}, APIVersions: []string{"v1alpha1"}, Resources: []string{resource},
			},
		}}
	}
	validate := func(name, path, resource string) admissionv1.ValidatingWebhook {
		return admissionv1.ValidatingWebhook{
			Name: name, ClientConfig: client(path), Rules: rules(resource), SideEffects: &none, FailurePolicy: &fail,
			TimeoutSeconds: &timeout, AdmissionReviewVersions: versions,
		}
	}
	m := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: mutation}}
	v := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: validation}}
	for _, kind := range kinds {
		resource := kind
		if p, ok := plurals[kind]; ok {
			resource = p
		}
		m.Webhooks = append(m.Webhooks, admissionv1.MutatingWebhook{
			Name: "m" + kind + ".kb.io", ClientConfig: client("/mutate-chaos-mesh-org-v1alpha1-" + kind),
			Rules: rules(resource), SideEffects: &none, FailurePolicy: &fail, TimeoutSeconds: &timeout,
			AdmissionReviewVersions: versions,
		})
		v.Webhooks = append(v.Webhooks,
			validate("v"+kind+".kb.io", "/validate-chaos-mesh-org-v1alpha1-"+kind, resource))
	}
	auth := &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: authValidation},
		Webhooks:   []admissionv1.ValidatingWebhook{validate("vauth.kb.io", "/validate-auth", "*")},
	}
	return m, []*admissionv1.ValidatingWebhookConfiguration{v, auth}
}
