package scaleout_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout"
)

func readyNode(name, arch string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelArchStable: arch}},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	standard := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{
		Name: "standard", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
	}}
	slow := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "slow"}}
	node := readyNode("a", runtime.GOARCH)
	for name, tc := range map[string]struct {
		objects []apiruntime.Object
		version string
		denied  string
		class   string
		workers int
		wrong   string
		detail  string
	}{
		"all is well":          {objects: []apiruntime.Object{node, standard}},
		"a class is named":     {objects: []apiruntime.Object{node, slow}, class: "slow"},
		"an old server":        {version: "v1.28.3", wrong: "server", detail: "has Kubernetes v1.28.3"},
		"no right":             {objects: []apiruntime.Object{node, standard}, denied: "jobs", wrong: "rights", detail: "not allowed: create jobs, delete jobs, get jobs"},
		"no node of our kind":  {objects: []apiruntime.Object{readyNode("a", "riscv64"), standard}, wrong: "nodes", detail: "none of 1 is ready"},
		"no default class":     {objects: []apiruntime.Object{node, slow}, wrong: "storage", detail: "no default storage class"},
		"a class that is none": {objects: []apiruntime.Object{node, standard}, class: "fast", wrong: "storage", detail: "no storage class fast"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := fake.NewSimpleClientset(tc.objects...)
			discovery, ok := client.Discovery().(*fakediscovery.FakeDiscovery)
			require.True(t, ok)
			discovery.FakedServerVersion = &version.Info{GitVersion: "v1.35.4+k3s1"}
			if tc.version != "" {
				discovery.FakedServerVersion.GitVersion = tc.version
			}
			client.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, apiruntime.Object, error) {
				create, ok := action.(clienttesting.CreateAction)
				if !ok {
					return true, nil, errors.New("not a create")
				}
				review, ok := create.GetObject().(*authorizationv1.SelfSubjectAccessReview)
				if !ok {
					return true, nil, errors.New("not a review")
				}
				review = review.DeepCopy()
				review.Status.Allowed = review.Spec.ResourceAttributes.Resource != tc.denied
				return true, review, nil
			})
			e := &scaleout.Executor{
				Cluster: &scaleout.Cluster{Context: "staging", Server: "https://x", Client: client}, Storage: scaleout.Storage{Class: tc.class}, Workers: tc.workers,
			}
			found := false
			for _, check := range e.Check(t.Context()) {
				if check.Name != tc.wrong {
					require.True(t, check.OK, "%s: %s", check.Name, check.Detail)
					continue
				}
				found = true
				require.False(t, check.OK)
				require.True(t, check.Required)
				require.Contains(t, check.Detail, tc.detail)
				require.NotEmpty(t, check.Hint)
			}
			require.Equal(t, tc.wrong != "", found)
		})
	}
}

func TestStorageThatKeepsVolumesIsNoted(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"", "archive"} {
		keeps := corev1.PersistentVolumeReclaimRetain
		client := fake.NewSimpleClientset(&storagev1.StorageClass{ReclaimPolicy: &keeps, ObjectMeta: metav1.ObjectMeta{
			Name: "archive", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		}})
		discovery, ok := client.Discovery().(*fakediscovery.FakeDiscovery)
		require.True(t, ok)
		discovery.FakedServerVersion = &version.Info{GitVersion: "v1.35.4"}
		e := &scaleout.Executor{Cluster: &scaleout.Cluster{Context: "staging", Server: "https://x", Client: client}, Storage: scaleout.Storage{Class: class}}
		checks := e.Check(t.Context())
		storage := checks[len(checks)-1]
		require.Equal(t, "storage", storage.Name)
		require.False(t, storage.OK)
		require.False(t, storage.Required, "it does no harm")
		require.Contains(t, storage.Detail, "keeps the volumes of a run")
		require.NotEmpty(t, storage.Hint)
	}
}

func TestServerThatCannotBeReachedIsTheOnlyCheck(t *testing.T) {
	t.Parallel()
	client := fake.NewSimpleClientset()
	client.PrependReactor("get", "version", func(clienttesting.Action) (bool, apiruntime.Object, error) {
		return true, nil, errors.New("connection refused")
	})
	checks := (&scaleout.Executor{Cluster: &scaleout.Cluster{Context: "staging", Server: "https://x", Client: client}}).Check(t.Context())
	require.Len(t, checks, 1)
	require.False(t, checks[0].OK)
	require.Contains(t, checks[0].Detail, "https://x cannot be reached: connection refused")
}

func TestParseStorage(t *testing.T) {
	t.Parallel()
	env := map[string]string{"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL_S3": "https://minio.example.org"}
	lookup := func(name string) (string, bool) { value, ok := env[name]; return value, ok }
	s, err := scaleout.ParseStorage("pvc", lookup)
	require.NoError(t, err)
	require.Equal(t, scaleout.Storage{}, s)
	s, err = scaleout.ParseStorage("pvc:fast", lookup)
	require.NoError(t, err)
	require.Equal(t, scaleout.Storage{Class: "fast"}, s)
	s, err = scaleout.ParseStorage("s3://results/nightly", lookup)
	require.NoError(t, err)
	require.Equal(t, "results", s.Bucket.Bucket)
	require.Equal(t, "nightly", s.Bucket.Prefix)
	for _, text := range []string{"", "pvc:", "nfs", "s3://"} {
		_, err := scaleout.ParseStorage(text, lookup)
		require.Equal(t, errs.Usage, errs.PartyOf(err), text)
		require.NotEmpty(t, errs.HintOf(err), text)
	}
}

func TestParseResources(t *testing.T) {
	t.Parallel()
	r, err := scaleout.ParseResources("")
	require.NoError(t, err)
	require.Equal(t, scaleout.DefaultResources(), r)
	r, err = scaleout.ParseResources("memory=2Gi,cpu=500m")
	require.NoError(t, err)
	require.Equal(t, "500m", r.CPU.String())
	require.Equal(t, "2Gi", r.Memory.String())
	for _, text := range []string{"cpu", "cpu=x", "cpu=0", "memory=-1Gi", "disk=1Gi", "cpu=1,"} {
		_, err := scaleout.ParseResources(text)
		require.Equal(t, errs.Usage, errs.PartyOf(err), text)
		require.Contains(t, errs.HintOf(err), "cpu=1,memory=3Gi", text)
	}
}

const kubeconfig = `apiVersion: v1
kind: Config
current-context: staging
clusters:
  - {name: c, cluster: {server: "https://127.0.0.1:1"}}
contexts:
  - {name: staging, context: {cluster: c}}
  - {name: other, context: {cluster: c}}
`

func TestConnect(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(file, []byte(kubeconfig), 0o600))
	c, err := scaleout.Connect(file, "staging")
	require.NoError(t, err)
	require.Equal(t, "https://127.0.0.1:1", c.Server)
	base, _, err := c.Proxy("ns", "depot", 8443)
	require.NoError(t, err)
	require.Equal(t, "https://127.0.0.1:1/api/v1/namespaces/ns/services/https:depot:8443/proxy", base)

	_, err = scaleout.Connect(file, "")
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "known: other, staging")
	_, err = scaleout.Connect(file, "stagin")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), `did you mean "staging"?`)
	_, err = scaleout.Connect(filepath.Join(t.TempDir(), "none"), "staging")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "--kubeconfig FILE")
}

func TestAccess(t *testing.T) {
	t.Parallel()
	_, err := scaleout.ReadAccess(filepath.Join(t.TempDir(), "none"))
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	_, err = scaleout.Access{}.Open()
	require.ErrorContains(t, err, "neither a depot nor a bucket")
	_, err = scaleout.Access{Depot: &scaleout.DepotAccess{URL: "https://depot", Certificate: []byte("none")}}.Open()
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	file := filepath.Join(t.TempDir(), "access.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"bucket":{"endpoint":"https://x","bucket":"b","accessKey":"a","secretKey":"s"}}`), 0o600))
	a, err := scaleout.ReadAccess(file)
	require.NoError(t, err)
	_, err = a.Open()
	require.NoError(t, err)
}
