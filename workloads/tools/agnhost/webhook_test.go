package agnhost

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWebhooks(t *testing.T) {
	t.Parallel()
	a := &app{sys: newPod(t).sys}
	for _, tt := range []struct {
		name    string
		do      admit
		op      string
		object  string
		allowed bool
		why     string
		patch   string
	}{
		{"deny", denyAlways, "CREATE", `{}`, false, "this webhook denies all requests", ""},
		{"first label", addLabel, "CREATE", `{"metadata":{}}`, true, "", `"path":"/metadata/labels"`},
		{"another label", addLabel, "CREATE", `{"metadata":{"labels":{"a":"b"}}}`, true, "", `/metadata/labels/added-label`},
		{"label is there", addLabel, "CREATE", `{"metadata":{"labels":{"added-label":"yes"}}}`, true, "", ""},
		{"pod", admitPods, "CREATE", `{"spec":{"containers":[{"name":"a"}]}}`, true, "", ""},
		{
			"bad pod", admitPods, "CREATE", `{"metadata":{"labels":{"webhook-e2e-test":"webhook-disallow"}},"spec":{"containers":[{"name":"webhook-disallow"}]}}`,
			false, "the pod contains unwanted label; the pod contains unwanted container name;", "",
		},
		{"bad configmap", admitData("configmap"), "UPDATE", `{"data":{"webhook-e2e-test":"webhook-disallow"}}`, false, "the configmap contains unwanted key and value", ""},
		{"kept", admitData("configmap"), "DELETE", `{"data":{"webhook-e2e-test":"webhook-nondeletable"}}`, false, "cannot be deleted", ""},
		{"not kept before", admitData("configmap"), "CREATE", `{"data":{"webhook-e2e-test":"webhook-nondeletable"}}`, true, "", ""},
		{"stage 1", mutateData, "CREATE", `{"data":{"mutation-start":"yes"}}`, true, "", "stage-1"},
		{"stage 2", mutateData, "CREATE", `{"data":{"mutation-start":"yes","mutation-stage-1":"yes"}}`, true, "", "stage-2"},
		{"crd", admitDefinition, "CREATE", `{"metadata":{"labels":{"webhook-e2e-test":"webhook-disallow"}}}`, false, "the crd contains unwanted label", ""},
		{"sidecar", addSidecar("x:1"), "CREATE", `{"spec":{"containers":[]}}`, true, "", `"image":"x:1"`},
		{"no sidecar", addSidecar(""), "CREATE", `{}`, false, "No image specified", ""},
		{"pod to mutate", mutatePods, "CREATE", `{"metadata":{"name":"webhook-to-be-mutated"}}`, true, "", "webhook-added-init-container"},
		{"garbage", denyAlways, "CREATE", `{"data":7}`, false, "decode object", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			field := "object"
			if tt.op == "DELETE" {
				field = "oldObject"
			}
			body := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"7","operation":"` + tt.op + `","` + field + `":` + tt.object + `}}`
			w := httptest.NewRecorder()
			a.review(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), tt.do)
			var out review
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
			require.Equal(t, "admission.k8s.io/v1", out.APIVersion)
			require.Equal(t, "7", out.Response.UID)
			require.Equal(t, tt.allowed, out.Response.Allowed)
			if tt.why != "" {
				require.Contains(t, out.Response.Result.Message+out.Response.Result.Reason, tt.why)
			}
			if tt.patch == "" {
				require.Empty(t, out.Response.Patch)
				return
			}
			require.True(t, json.Valid(out.Response.Patch))
			require.Contains(t, string(out.Response.Patch), tt.patch)
			require.Equal(t, "JSONPatch", out.Response.PatchType)
		})
	}
}

func TestConversion(t *testing.T) {
	t.Parallel()
	a := &app{sys: newPod(t).sys}
	for _, tt := range []struct{ name, object, to, want, failure string }{
		{"up", `{"apiVersion":"stable.example.com/v1","hostPort":"h:8","n":12345678901234567}`, "stable.example.com/v2", `{"apiVersion":"stable.example.com/v2","host":"h","port":"8","n":12345678901234567}`, ""},
		{"down", `{"apiVersion":"stable.example.com/v2","host":"h","port":"8"}`, "stable.example.com/v1", `{"apiVersion":"stable.example.com/v1","hostPort":"h:8"}`, ""},
		{"nothing to convert", `{"apiVersion":"stable.example.com/v1"}`, "stable.example.com/v2", `{"apiVersion":"stable.example.com/v2"}`, ""},
		{"bad port", `{"apiVersion":"stable.example.com/v1","hostPort":"h"}`, "stable.example.com/v2", "", "invalid hostPort value `h`"},
		{"itself", `{"apiVersion":"stable.example.com/v1"}`, "stable.example.com/v1", "", "should not call the webhook"},
		{"unknown", `{"apiVersion":"stable.example.com/v3"}`, "stable.example.com/v1", "", `unexpected conversion version "stable.example.com/v3"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body := `{"kind":"ConversionReview","request":{"uid":"7","desiredAPIVersion":"` + tt.to + `","objects":[` + tt.object + `]}}`
			w := httptest.NewRecorder()
			a.convert(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
			var out struct {
				Response struct {
					UID              string
					ConvertedObjects []json.RawMessage
					Result           responseStatus
				}
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
			require.Equal(t, "7", out.Response.UID)
			if tt.failure != "" {
				require.Equal(t, "Failure", out.Response.Result.Status)
				require.Contains(t, out.Response.Result.Message, tt.failure)
				return
			}
			require.Equal(t, "Success", out.Response.Result.Status)
			require.JSONEq(t, tt.want, string(out.Response.ConvertedObjects[0]))
		})
	}
}
