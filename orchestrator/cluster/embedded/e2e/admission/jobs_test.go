package admission

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

// job is a Job of a script; spec are its further fields.
func job(name, spec, script string) string {
	return fmt.Sprintf(`
apiVersion: batch/v1
kind: Job
metadata: {name: %s}
spec:
%s
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "registry.k8s.io/e2e-test-images/busybox:1.37.0-1", command: [sh, -c, '%s']}]
---
`, name, spec, script)
}

// status waits until holds is true for a Job, and returns it.
func status(r *clustertest.Rig, name, what string, holds func(*batchv1.Job) bool) *batchv1.Job {
	r.T.Helper()
	var j *batchv1.Job
	r.Eventually("job "+name+" "+what, func() (bool, string) {
		var err error
		j, err = r.Kube.BatchV1().Jobs(r.Namespace).Get(r.T.Context(), name, metav1.GetOptions{})
		require.NoError(r.T, err)
		return holds(j), fmt.Sprintf("%+v", j.Status)
	})
	return j
}

// ended is true for a Job with this condition for this reason.
func ended(kind batchv1.JobConditionType, reason string) func(*batchv1.Job) bool {
	return func(j *batchv1.Job) bool {
		for _, c := range j.Status.Conditions {
			if c.Type == kind && c.Status == "True" && (reason == "" || c.Reason == reason) {
				return true
			}
		}
		return false
	}
}

func TestJobs(t *testing.T) {
	r := fixture.Rig(t)
	r.Apply(job("fails", "  backoffLimit: 1", "exit 3") +
		job("late", "  activeDeadlineSeconds: 3", "sleep 3600") +
		job("indexed", "  completionMode: Indexed\n  completions: 3\n  parallelism: 2", "echo index $JOB_COMPLETION_INDEX") +
		job("waits", "  suspend: true", "exit 0") +
		job("policy", "  backoffLimit: 6\n  podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}", "exit 42"))
	failed := status(r, "fails", "gives up", ended(batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded))
	require.Equal(t, int32(2), failed.Status.Failed, "one try and one more")
	status(r, "late", "is ended at its deadline", ended(batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded))
	status(r, "policy", "fails at once", ended(batchv1.JobFailed, batchv1.JobReasonPodFailurePolicy))
	all := status(r, "indexed", "completes", ended(batchv1.JobComplete, ""))
	require.Equal(t, "0-2", all.Status.CompletedIndexes)
	for i := range 3 {
		p := pods(r, fmt.Sprintf("job-name=indexed,batch.kubernetes.io/job-completion-index=%d", i))
		require.Len(t, p, 1)
		log, err := r.Kube.CoreV1().Pods(r.Namespace).GetLogs(p[0].Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("index %d\n", i), string(log))
	}
	status(r, "waits", "is suspended", ended(batchv1.JobSuspended, ""))
	require.Empty(t, pods(r, "job-name=waits"))
	_, err := r.Kube.BatchV1().Jobs(r.Namespace).Patch(t.Context(), "waits", types.MergePatchType, []byte(`{"spec":{"suspend":false}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	status(r, "waits", "completes when it may", ended(batchv1.JobComplete, ""))
}

// TestCronJobs waits for two starts of a minute: what still runs at the second one shows the concurrency policies.
func TestCronJobs(t *testing.T) {
	t.Parallel()
	r := fixture.Rig(t)
	policies := map[string]int{"Allow": 2, "Forbid": 1, "Replace": 1}
	names := map[string]string{"Allow": "allow", "Forbid": "forbid", "Replace": "replace"}
	for policy, name := range names {
		r.Apply(cron(name, policy, false))
	}
	r.Apply(cron("suspended", "Allow", true))
	first := map[string]string{}
	r.Within(3*time.Minute, "two minutes have begun", func() (bool, string) {
		seen := runs(r)
		for policy, name := range names {
			if len(seen[name]) == 1 && first[policy] == "" {
				first[policy] = seen[name][0]
			}
		}
		return len(seen["allow"]) == 2, fmt.Sprint(seen)
	})
	r.Eventually("each policy has had its way", func() (bool, string) {
		seen := runs(r)
		for policy, name := range names {
			if len(seen[name]) != policies[policy] {
				return false, fmt.Sprint(seen)
			}
		}
		return seen["replace"][0] != first["Replace"] && seen["forbid"][0] == first["Forbid"], fmt.Sprint(seen, first)
	})
	require.Empty(t, runs(r)["suspended"])
}

func cron(name, policy string, suspend bool) string {
	return fmt.Sprintf(`
apiVersion: batch/v1
kind: CronJob
metadata: {name: %s}
spec:
  schedule: "* * * * *"
  concurrencyPolicy: %s
  suspend: %t
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          terminationGracePeriodSeconds: 0
          containers: [{name: main, image: "registry.k8s.io/e2e-test-images/busybox:1.37.0-1", command: [sleep, "3600"]}]
---
`, name, policy, suspend)
}

// runs are the names of the Jobs of each CronJob that are not being deleted.
func runs(r *clustertest.Rig) map[string][]string {
	r.T.Helper()
	list, err := r.Kube.BatchV1().Jobs(r.Namespace).List(r.T.Context(), metav1.ListOptions{})
	require.NoError(r.T, err)
	out := map[string][]string{}
	for _, j := range list.Items {
		if owner := metav1.GetControllerOf(&j); owner != nil && j.DeletionTimestamp == nil {
			out[owner.Name] = append(out[owner.Name], j.Name)
		}
	}
	return out
}
