package existing

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// kind is one resource that the API server in memory has.
type kind struct {
	version, resource, kind string
	namespaced              bool
}

func kinds() []kind {
	return []kind{
		{"v1", "namespaces", "Namespace", false}, {"v1", "nodes", "Node", false}, {"v1", "pods", "Pod", true}, {"v1", "configmaps", "ConfigMap", true},
		{"v1", "secrets", "Secret", true}, {"v1", "persistentvolumes", "PersistentVolume", false},
		{"apps/v1", "deployments", "Deployment", true},
		{"storage.k8s.io/v1", "storageclasses", "StorageClass", false},
		{"coordination.k8s.io/v1", "leases", "Lease", true},
		{"rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", false},
		{"rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding", false},
		{"scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", false},
		{"apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", false},
		{"authorization.k8s.io/v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false},
		{"chaos-mesh.org/v1alpha1", "networkchaos", "NetworkChaos", true},
	}
}

// apiServer keeps objects in memory and answers as a Kubernetes API server does, as far as this package goes.
type apiServer struct {
	url     string
	version string
	// denied says which rights the user does not have; nil means none.
	denied func(authorizationv1.ResourceAttributes) bool
	// stuck are names of namespaces that do not go.
	stuck []string

	mu      sync.Mutex
	objects map[string]map[string]any // by path
	writes  []string
}

// newAPIServer starts a server with two good nodes and a default storage class.
func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	s := &apiServer{version: "v1.35.4", objects: map[string]map[string]any{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	s.add(t, goodNode("n1"), goodNode("n2"), `{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"standard","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}}`)
	return s
}

// add stores objects that are written as YAML or JSON.
func (s *apiServer) add(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		u := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(text), &u.Object))
		i := slices.IndexFunc(kinds(), func(k kind) bool { return k.kind == u.GetKind() && k.version == u.GetAPIVersion() })
		require.GreaterOrEqual(t, i, 0, text)
		s.mu.Lock()
		s.objects[pathOf(kinds()[i], u.GetNamespace(), u.GetName())] = u.Object
		s.mu.Unlock()
	}
}

func pathOf(k kind, namespace, name string) string {
	root := "/api/" + k.version
	if strings.Contains(k.version, "/") {
		root = "/apis/" + k.version
	}
	if namespace != "" && k.namespaced {
		root += "/namespaces/" + namespace
	}
	return root + "/" + k.resource + "/" + name
}

// paths are those of all objects, sorted.
func (s *apiServer) paths() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// object returns an object; nil where it is not there.
func (s *apiServer) object(path string) *unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.objects[path]; ok {
		return (&unstructured.Unstructured{Object: o}).DeepCopy()
	}
	return nil
}

// remove removes an object behind the server's back.
func (s *apiServer) remove(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, path)
}

// written are the writes that were asked for, but for reviews.
func (s *apiServer) written() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.writes)
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	code, answer := s.answer(r, body)
	data, _ := json.Marshal(answer)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(data)
}

// answer is called with the lock.
func (s *apiServer) answer(r *http.Request, body []byte) (int, any) {
	if r.URL.Path == "/version" {
		return http.StatusOK, map[string]string{"gitVersion": s.version}
	}
	t, ok := parseTarget(r.Method, r.URL.Path)
	if !ok {
		return discover(r.URL.Path)
	}
	if t.resource == "selfsubjectaccessreviews" {
		return s.review(body)
	}
	if r.Method != http.MethodGet {
		s.writes = append(s.writes, r.Method+" "+r.URL.Path)
	}
	switch {
	case r.Method == http.MethodGet && t.name == "":
		return s.list(r, t)
	case r.Method == http.MethodPost:
		return s.create(r, t, body)
	}
	live, found := s.objects[r.URL.Path]
	switch {
	case !found && r.Method == http.MethodPatch && strings.Contains(r.Header.Get("Content-Type"), "apply"):
		live = map[string]any{}
	case !found:
		return status(http.StatusNotFound, metav1.StatusReasonNotFound, t.String()+" not found")
	}
	switch r.Method {
	case http.MethodPatch:
		patch := map[string]any{}
		if err := yaml.Unmarshal(body, &patch); err != nil {
			return status(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		}
		live = merge(live, patch)
		s.objects[r.URL.Path] = live
	case http.MethodPut:
		live = map[string]any{}
		_ = json.Unmarshal(body, &live)
		s.objects[r.URL.Path] = live
	case http.MethodDelete:
		s.delete(r.URL.Path, t)
	}
	return http.StatusOK, live
}

func (s *apiServer) delete(at string, t target) {
	if t.resource == "namespaces" {
		maps.DeleteFunc(s.objects, func(path string, _ map[string]any) bool { return strings.Contains(path, "/namespaces/"+t.name+"/") })
		if slices.Contains(s.stuck, t.name) {
			s.objects[at]["status"] = map[string]any{"conditions": []any{map[string]any{
				"type": "NamespaceFinalizersRemaining", "status": "True", "message": "some finalizers remain",
			}}}
			return
		}
	}
	delete(s.objects, at)
}

func (s *apiServer) create(r *http.Request, t target, body []byte) (int, any) {
	object := map[string]any{}
	if err := json.Unmarshal(body, &object); err != nil {
		return status(http.StatusUnsupportedMediaType, metav1.StatusReasonUnsupportedMediaType, err.Error())
	}
	u := &unstructured.Unstructured{Object: object}
	if t.namespace != "" {
		u.SetNamespace(t.namespace)
	}
	at := path.Join(r.URL.Path, u.GetName())
	if _, taken := s.objects[at]; taken {
		return status(http.StatusConflict, metav1.StatusReasonAlreadyExists, u.GetName()+" already exists")
	}
	s.objects[at] = object
	return http.StatusCreated, object
}

func (s *apiServer) review(body []byte) (int, any) {
	var review authorizationv1.SelfSubjectAccessReview
	if err := json.Unmarshal(body, &review); err != nil {
		return status(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
	}
	review.APIVersion, review.Kind = "authorization.k8s.io/v1", "SelfSubjectAccessReview"
	review.Status.Allowed = s.denied == nil || !s.denied(*review.Spec.ResourceAttributes)
	return http.StatusCreated, review
}

func (s *apiServer) list(r *http.Request, t target) (int, any) {
	version := strings.TrimPrefix(t.group+"/"+t.version, "/")
	i := slices.IndexFunc(kinds(), func(k kind) bool { return k.resource == t.resource && k.version == version })
	if i < 0 {
		return status(http.StatusNotFound, metav1.StatusReasonNotFound, "no such resource")
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return status(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
	}
	name, byName := strings.CutPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	items := []any{}
	for _, at := range slices.Sorted(maps.Keys(s.objects)) {
		u := &unstructured.Unstructured{Object: s.objects[at]}
		if at != pathOf(kinds()[i], u.GetNamespace(), u.GetName()) || t.namespace != "" && u.GetNamespace() != t.namespace {
			continue
		}
		if selector.Matches(labels.Set(u.GetLabels())) && (!byName || u.GetName() == name) {
			items = append(items, u.Object)
		}
	}
	return http.StatusOK, map[string]any{"apiVersion": version, "kind": kinds()[i].kind + "List", "metadata": map[string]any{}, "items": items}
}

// discover answers what is no resource: which groups and kinds there are.
func discover(at string) (int, any) {
	versions := map[string][]metav1.APIResource{}
	for _, k := range kinds() {
		verbs := metav1.Verbs{"create", "delete", "get", "list", "patch"}
		if k.resource == "selfsubjectaccessreviews" {
			verbs = metav1.Verbs{"create"}
		}
		versions[k.version] = append(versions[k.version], metav1.APIResource{Name: k.resource, Kind: k.kind, Namespaced: k.namespaced, Verbs: verbs})
	}
	switch at {
	case "/api":
		return http.StatusOK, metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
	case "/apis":
		list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for _, gv := range slices.Sorted(maps.Keys(versions)) {
			if group, version, found := strings.Cut(gv, "/"); found {
				v := metav1.GroupVersionForDiscovery{GroupVersion: gv, Version: version}
				list.Groups = append(list.Groups, metav1.APIGroup{Name: group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v})
			}
		}
		return http.StatusOK, list
	}
	gv := strings.TrimPrefix(strings.TrimPrefix(at, "/apis/"), "/api/")
	if found, ok := versions[gv]; ok {
		return http.StatusOK, metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: gv, APIResources: found}
	}
	return status(http.StatusNotFound, metav1.StatusReasonNotFound, at+" not found")
}

func status(code int, reason metav1.StatusReason, message string) (int, any) {
	return code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	}
}

// merge is a JSON merge patch, which is near enough to the other kinds of patches.
func merge(into, patch map[string]any) map[string]any {
	for field, value := range patch {
		child, isObject := value.(map[string]any)
		switch {
		case value == nil:
			delete(into, field)
		case isObject:
			below, ok := into[field].(map[string]any)
			if !ok {
				below = map[string]any{}
			}
			into[field] = merge(below, child)
		default:
			into[field] = value
		}
	}
	return into
}

func namespaceYAML(name string, labels ...string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {%s}}\n", name, strings.Join(labels, ", "))
}
