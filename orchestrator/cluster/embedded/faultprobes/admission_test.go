package faultprobes

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

// victim is the service that the probes of this file take away: searches need it.
const victim = "geo"

// remove deletes a site's object that was made for a test.
func remove(s *clustertest.Site, text string) {
	s.T.Helper()
	for _, object := range s.Decode(text) {
		require.NoError(s.T, s.Client(object).Delete(s.T.Context(), object.GetName(), metav1.DeleteOptions{}))
	}
}

// losePods deletes the pods of a deployment, as a node that is drained or fails does.
func losePods(s *clustertest.Site, deployment string) {
	s.T.Helper()
	for _, p := range s.ReadyPods("app.kubernetes.io/name=" + deployment) {
		s.DeletePod(p.Name)
	}
}

// missing waits until the telemetry shows that a deployment has no replica.
func missing(s *clustertest.Site, deployment string) {
	s.T.Helper()
	s.Value(deployment+" without a replica", fmt.Sprintf(`kube_deployment_status_replicas_available{namespace=%q,deployment=%q}`, s.Namespace, deployment),
		func(v float64) bool { return v == 0 })
}

// patch changes a deployment.
func patch(s *clustertest.Site, deployment string, kind types.PatchType, text string) {
	s.T.Helper()
	_, err := s.Kube.AppsV1().Deployments(s.Namespace).Patch(s.T.Context(), deployment, kind, []byte(text), metav1.PatchOptions{})
	require.NoError(s.T, err)
}

// TestWebhookWithoutServer: what the webhook was to look at cannot be made any more, which nobody notices until a pod is
// lost.
func TestWebhookWithoutServer(t *testing.T) {
	s := fixture.Site(t, rate)
	hook := `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: pod-defaults}
webhooks:
- name: defaults.pods.example.com
  clientConfig: {service: {namespace: ` + s.Namespace + `, name: pod-defaults, path: /mutate}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ` + s.Namespace + `}}
  failurePolicy: Fail
  timeoutSeconds: 2
  sideEffects: None
  admissionReviewVersions: [v1]
`
	s.Apply(hook)
	s.Eventually("the webhook is asked", func() (bool, string) {
		u := s.Decode("{apiVersion: v1, kind: Pod, metadata: {name: probe}, spec: {containers: [{name: main, image: registry.local/pause:3.10}]}}")[0]
		_, err := s.Client(u).Create(t.Context(), u, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil, "admitted"
	})
	losePods(s, victim)
	missing(s, victim)
	s.Misses("search-availability")
	s.Event("ReplicaSet", replicaSet(s, victim), "FailedCreate", `failed calling webhook "defaults.pods.example.com"`)
	remove(s, hook)
	s.Available(victim)
	s.Healthy()
}

// replicaSet is the name of the set that has a deployment's replicas.
func replicaSet(s *clustertest.Site, deployment string) string {
	s.T.Helper()
	list, err := s.Kube.AppsV1().ReplicaSets(s.Namespace).List(s.T.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + deployment})
	require.NoError(s.T, err)
	for _, set := range list.Items {
		if *set.Spec.Replicas > 0 {
			return set.Name
		}
	}
	require.Fail(s.T, "no replica set", deployment)
	return ""
}

// TestQuotaTooSmall: a quota does not touch what runs, and keeps out what would replace it.
func TestQuotaTooSmall(t *testing.T) {
	s := fixture.Site(t, rate)
	quota := "{apiVersion: v1, kind: ResourceQuota, metadata: {name: team}, spec: {hard: {pods: \"2\"}}}"
	s.Apply(quota)
	s.Value("the quota counted", fmt.Sprintf(`kube_resourcequota{namespace=%q,resourcequota="team",resource="pods",type="used"}`, s.Namespace),
		func(v float64) bool { return v > 2 })
	losePods(s, victim)
	missing(s, victim)
	s.Misses("search-availability")
	s.Event("ReplicaSet", replicaSet(s, victim), "FailedCreate", "exceeded quota: team")
	remove(s, quota)
	s.Available(victim)
	s.Healthy()
}

// TestLimitRangeTooLow: a default limit that the program does not fit in.
func TestLimitRangeTooLow(t *testing.T) {
	s := fixture.Site(t, rate)
	before, err := s.Kube.AppsV1().Deployments(s.Namespace).Get(t.Context(), victim, metav1.GetOptions{})
	require.NoError(t, err)
	sizes := "{apiVersion: v1, kind: LimitRange, metadata: {name: sizes}, spec: {limits: [{type: Container, default: {memory: 8Mi}, defaultRequest: {memory: 4Mi}}]}}"
	s.Apply(sizes)
	patch(s, victim, types.JSONPatchType, `[{"op":"replace","path":"/spec/strategy","value":{"type":"Recreate"}},{"op":"remove","path":"/spec/template/spec/containers/0/resources"}]`)
	s.Value(victim+" killed for its memory", fmt.Sprintf(`kube_pod_container_status_last_terminated_reason{namespace=%q,container=%q,reason="OOMKilled"}`, s.Namespace, victim),
		func(v float64) bool { return v == 1 })
	s.Misses("search-availability")
	remove(s, sizes)
	after, err := s.Kube.AppsV1().Deployments(s.Namespace).Get(t.Context(), victim, metav1.GetOptions{})
	require.NoError(t, err)
	after.Spec = before.Spec
	_, err = s.Kube.AppsV1().Deployments(s.Namespace).Update(t.Context(), after, metav1.UpdateOptions{})
	require.NoError(t, err)
	s.Available(victim)
	s.Healthy()
}

// TestBudgetBlocksEvictions: a budget that allows nothing stops every drain; what the users get stays as it is.
func TestBudgetBlocksEvictions(t *testing.T) {
	s := fixture.Site(t, rate)
	budget := func(patch string) {
		_, err := s.Kube.PolicyV1().PodDisruptionBudgets(s.Namespace).Patch(t.Context(), victim, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	allowed := func(n float64) {
		s.Value(fmt.Sprintf("%v disruptions allowed", n), fmt.Sprintf(`kube_poddisruptionbudget_status_pod_disruptions_allowed{namespace=%q,poddisruptionbudget=%q}`, s.Namespace, victim),
			func(v float64) bool { return v == n })
	}
	allowed(1)
	budget(`{"spec":{"maxUnavailable":0}}`)
	allowed(0)
	pod := s.ReadyPods("app.kubernetes.io/name=" + victim)[0].Name
	evict := func() error {
		return s.Kube.CoreV1().Pods(s.Namespace).EvictV1(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod}})
	}
	err := evict()
	require.True(t, apierrors.IsTooManyRequests(err), "%v", err)
	budget(`{"spec":{"maxUnavailable":1}}`)
	allowed(1)
	require.NoError(t, evict())
	s.Eventually("the pod is gone", func() (bool, string) {
		_, err := s.Kube.CoreV1().Pods(s.Namespace).Get(t.Context(), pod, metav1.GetOptions{})
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
	s.Available(victim)
	s.Healthy()
}

// TestPreemption: what is more important takes the last place of its kind, and a service has none.
func TestPreemption(t *testing.T) {
	s := fixture.Site(t, rate)
	nodes, err := s.Kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	places := func(n int) {
		_, err := s.Kube.CoreV1().Nodes().Patch(t.Context(), nodes.Items[0].Name, types.MergePatchType,
			fmt.Appendf(nil, `{"status":{"capacity":{"example.com/place":"%d"},"allocatable":{"example.com/place":"%[1]d"}}}`, n), metav1.PatchOptions{}, "status")
		require.NoError(t, err)
	}
	places(1)
	patch(s, victim, types.JSONPatchType, `[{"op":"add","path":"/spec/template/spec/containers/0/resources/limits/example.com~1place","value":"1"}]`)
	s.Available(victim)
	batch := `
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: batch-urgent}
value: 100000
---
apiVersion: v1
kind: Pod
metadata: {name: report}
spec:
  priorityClassName: batch-urgent
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "registry.local/pause:3.10", resources: {limits: {example.com/place: 1}}}]
`
	s.Apply(batch)
	missing(s, victim)
	s.Value(victim+" pending", fmt.Sprintf(`kube_pod_status_phase{namespace=%q,pod=~"%s-.*",phase="Pending"}`, s.Namespace, victim),
		func(v float64) bool { return v == 1 })
	s.Misses("search-availability")
	s.DeletePod("report")
	s.Available(victim)
	s.Healthy()
	patch(s, victim, types.JSONPatchType, `[{"op":"remove","path":"/spec/template/spec/containers/0/resources/limits/example.com~1place"}]`)
	s.Available(victim)
	s.Healthy()
}
