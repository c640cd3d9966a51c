package existing

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// ask sends a request through the cluster's access, as an agent where agent is true.
func ask(t *testing.T, c *Cluster, agent bool, method, path, contentType, body string) (int, string) {
	t.Helper()
	config := c.RESTConfig()
	if agent {
		config.Impersonate = rest.ImpersonationConfig{UserName: "oncall"}
	}
	client, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, config.Host+path, content)
	require.NoError(t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(answer)
}

const (
	asJSON       = "application/json"
	asMerge      = "application/merge-patch+json"
	asStrategic  = "application/strategic-merge-patch+json"
	asJSONPatch  = "application/json-patch+json"
	asApply      = "application/apply-patch+yaml"
	clusterRoles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
)

// TestGuard: what is not the trial's cannot be changed, by nobody and in no way.
func TestGuard(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	s.add(t, namespaceYAML("shop"),
		"apiVersion: v1\nkind: Secret\nmetadata: {name: theirs, namespace: shop}\n",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: theirs}\n")
	p, _ := newProvider(t, s)
	c := up(t, p)
	makeNamespace(t, c, "hotel")
	s.add(t, namespaceYAML("other", "gameday.dev/owner: run-of-somebody")) // After the checks, which would refuse the cluster.
	s.add(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: hotel}\n")
	const agent, harness = true, false
	chaos := func(selector string) string {
		return `{"apiVersion":"chaos-mesh.org/v1alpha1","kind":"NetworkChaos","metadata":{"name":"n"},"spec":{"selector":` + selector + `,"target":{"mode":"all","selector":{"namespaces":["hotel"]}}}}`
	}
	const chaosPath = "/apis/chaos-mesh.org/v1alpha1/namespaces/gameday-system/networkchaos"
	for _, tc := range []struct {
		name               string
		who                bool
		method, path, kind string
		body               string
		refused            string
	}{
		{name: "reading is free", who: agent, method: "GET", path: "/api/v1/namespaces/shop/secrets/theirs"},
		{name: "own namespace", who: agent, method: "PATCH", path: "/api/v1/namespaces/hotel/configmaps/x", kind: asMerge, body: `{"data":{"a":"b"}}`},
		{name: "foreign namespace", who: harness, method: "PATCH", path: "/api/v1/namespaces/shop/secrets/theirs", kind: asMerge, body: `{}`, refused: "namespace shop is not of this exercise"},
		{name: "another run's namespace", who: harness, method: "DELETE", path: "/api/v1/namespaces/other/pods/p", refused: "namespace other is not of this exercise"},
		{name: "no such namespace", who: agent, method: "POST", path: "/api/v1/namespaces/nowhere/pods", kind: asJSON, body: `{}`, refused: "namespace nowhere is not"},
		{name: "exec by GET", who: agent, method: "GET", path: "/api/v1/namespaces/shop/pods/p/exec", refused: "pods/exec p is forbidden"},
		{name: "a service's proxy", who: agent, method: "GET", path: "/api/v1/namespaces/shop/services/s/proxy/admin", refused: "not of this exercise"},
		{name: "a kubelet's proxy", who: harness, method: "GET", path: "/api/v1/nodes/n1/proxy/pods", refused: "nodes are not of this exercise"},
		{name: "a foreign namespace itself", who: agent, method: "DELETE", path: "/api/v1/namespaces/shop", refused: "it is not of this exercise"},
		{name: "its finalizers", who: agent, method: "PUT", path: "/api/v1/namespaces/shop/finalize", kind: asJSON, body: `{}`, refused: "it is not of this exercise"},
		{name: "labelling it as ours", who: agent, method: "PATCH", path: "/api/v1/namespaces/shop", kind: asMerge, body: `{"metadata":{"labels":{"gameday.dev/owner":"x"}}}`, refused: "it is not of this exercise"},
		{name: "applying over it", who: harness, method: "PATCH", path: "/api/v1/namespaces/shop", kind: asApply, body: "metadata: {name: shop}", refused: "it is not of this exercise"},
		{name: "many at once", who: harness, method: "DELETE", path: clusterRoles, refused: "delete them by name"},
		{name: "a foreign role", who: harness, method: "PUT", path: clusterRoles + "/theirs", kind: asJSON, body: `{"metadata":{"name":"theirs"}}`, refused: "it is not of this exercise"},
		{name: "a role of an agent", who: agent, method: "POST", path: clusterRoles, kind: asJSON, body: `{"metadata":{"name":"mine"}}`, refused: "only what is in the namespaces"},
		{name: "a namespace of an agent", who: agent, method: "PATCH", path: "/api/v1/namespaces/mine", kind: asApply, body: "metadata: {name: mine}", refused: "only what is in the namespaces"},
		{name: "a role", who: harness, method: "POST", path: clusterRoles, kind: asJSON, body: `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"ours"}}`},
		{name: "in a language that cannot be read", who: harness, method: "POST", path: clusterRoles, kind: "application/vnd.kubernetes.protobuf", body: "k8s\x00", refused: "must be JSON or YAML"},
		{name: "a question", who: agent, method: "POST", path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", kind: asJSON, body: `{"spec":{"resourceAttributes":{"verb":"get"}}}`},
		{name: "chaos of our own", who: harness, method: "POST", path: chaosPath, kind: asJSON, body: chaos(`{"pods":{"hotel":["geo-1"]}}`)},
		{name: "chaos for others", who: harness, method: "POST", path: chaosPath, kind: asJSON, body: chaos(`{"namespaces":["hotel","shop"]}`), refused: "it selects pods of namespace shop"},
		{name: "chaos for others' pods", who: harness, method: "POST", path: chaosPath, kind: asJSON, body: chaos(`{"pods":{"shop":["a"]}}`), refused: "it selects pods of namespace shop"},
		{name: "cordon without leave", who: agent, method: "PATCH", path: "/api/v1/nodes/n1", kind: asStrategic, body: `{"spec":{"unschedulable":true}}`, refused: "nodes are not of this exercise"},
	} {
		code, answer := ask(t, c, tc.who, tc.method, tc.path, tc.kind, tc.body)
		if tc.refused == "" {
			require.Less(t, code, 300, "%s: %s", tc.name, answer)
			continue
		}
		require.Equal(t, http.StatusForbidden, code, "%s: %s", tc.name, answer)
		require.Contains(t, answer, tc.refused, tc.name)
		require.Contains(t, answer, `"kind":"Status"`, tc.name)
	}
	require.NotNil(t, s.object("/api/v1/namespaces/shop/secrets/theirs"))
	require.Equal(t, p.session.owner, s.object(clusterRoles + "/ours").GetLabels()[OwnerLabel])
	require.Equal(t, scopeTrial, s.object(clusterRoles + "/ours").GetLabels()[scopeLabel])
	require.NoError(t, c.Down(t.Context()))
	require.Nil(t, s.object(clusterRoles+"/ours"), "what was made without a namespace goes as well")
	require.NotNil(t, s.object(clusterRoles+"/theirs"))
}

// TestMarksStay: whatever is written over something of the trial's, it is found again.
func TestMarksStay(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	p, _ := newProvider(t, s)
	c := up(t, p)
	d, err := dynamic.NewForConfig(c.RESTConfig())
	require.NoError(t, err)
	namespaces := d.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "hotel"}}}
	marked := func() {
		t.Helper()
		got := s.object("/api/v1/namespaces/hotel").GetLabels()
		require.Equal(t, p.session.owner, got[OwnerLabel])
		require.Equal(t, scopeTrial, got[scopeLabel])
		require.Equal(t, "baseline", got[podSecurity])
	}
	_, err = namespaces.Apply(t.Context(), "hotel", ns, metav1.ApplyOptions{FieldManager: "kubectl", Force: true})
	require.NoError(t, err)
	marked()
	_, err = namespaces.Apply(t.Context(), "hotel", ns, metav1.ApplyOptions{FieldManager: "kubectl", Force: true})
	require.NoError(t, err)
	marked()
	_, err = namespaces.Update(t.Context(), ns, metav1.UpdateOptions{})
	require.NoError(t, err)
	marked()
	code, answer := ask(t, c, true, http.MethodPatch, "/api/v1/namespaces/hotel", asMerge, `{"metadata":{"labels":{"gameday.dev/owner":null,"pod-security.kubernetes.io/enforce":"privileged","a":"b"}}}`)
	require.Equal(t, http.StatusOK, code, answer)
	marked()
	require.Equal(t, "b", s.object("/api/v1/namespaces/hotel").GetLabels()["a"])
}

func TestCordons(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	s.add(t, strings.Replace(goodNode("n3"), `"status"`, `"spec":{"unschedulable":true},"status"`, 1))
	p, _ := newProvider(t, s)
	p.AllowCordon = true
	c := up(t, p)
	const leaseAt = "/apis/coordination.k8s.io/v1/namespaces/gameday-system/leases/claim"
	cordoned := func(name string) bool {
		value, _, _ := unstructured.NestedBool(s.object("/api/v1/nodes/"+name).Object, "spec", "unschedulable")
		return value
	}
	for _, tc := range []struct{ node, kind, body, refused string }{
		{"n1", asStrategic, `{"spec":{"unschedulable":true}}`, ""},
		{"n1", asMerge, `{"spec":{"unschedulable":null}}`, ""},
		{"n1", asMerge, `{"spec":{"unschedulable":true}}`, ""},
		{"n3", asMerge, `{"spec":{"unschedulable":true}}`, ""},
		{"n3", asMerge, `{"spec":{"unschedulable":false}}`, "node n3 was cordoned by somebody else"},
		{"n2", asMerge, `{"spec":{"unschedulable":true,"taints":[]}}`, "they may be cordoned"},
		{"n2", asMerge, `{"metadata":{"labels":{"a":"b"}}}`, "they may be cordoned"},
		{"n2", asJSONPatch, `[{"op":"add","path":"/spec/taints","value":[]}]`, "they may be cordoned"},
	} {
		code, answer := ask(t, c, true, http.MethodPatch, "/api/v1/nodes/"+tc.node, tc.kind, tc.body)
		if tc.refused == "" {
			require.Equal(t, http.StatusOK, code, "%v: %s", tc, answer)
			continue
		}
		require.Equal(t, http.StatusForbidden, code, "%v: %s", tc, answer)
		require.Contains(t, answer, tc.refused)
	}
	code, _ := ask(t, c, true, http.MethodDelete, "/api/v1/nodes/n1", "", "")
	require.Equal(t, http.StatusForbidden, code)
	require.True(t, cordoned("n1"))
	require.Equal(t, "n1", s.object(leaseAt).GetAnnotations()[cordonNote], "it is found again after a kill")
	require.NoError(t, c.Down(t.Context()))
	require.False(t, cordoned("n1"))
	require.True(t, cordoned("n3"), "what somebody else has cordoned stays so")
	require.Empty(t, s.object(leaseAt).GetAnnotations()[cordonNote])
}
