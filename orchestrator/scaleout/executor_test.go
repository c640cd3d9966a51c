package scaleout_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
	podapi "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/results"
)

func TestPlay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.play = ends(map[string][]results.Status{
		"b": {results.InfraError, results.Graded}, "c": {results.InfraError, results.FaultNotLive}, "d": {results.AgentTimeout},
	})
	w := r.begin(t, "a", "b", "c", "d")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.ElementsMatch(t, []string{
		"a.r0 graded", "b.r0 infra_error", "b.r1 graded", "c.r0 infra_error", "c.r1 fault_not_live", "d.r0 agent_timeout",
	}, recorded(t, w))
	require.Empty(t, r.namespaces(t), "nothing is left on the cluster")
	left, err := filepath.Glob(filepath.Join(w.Store.Dir(), ".incoming-*"))
	require.NoError(t, err)
	require.Empty(t, left)

	data, err := results.Load(w.Store.Dir())
	require.NoError(t, err)
	require.Equal(t, image, data.Run.Executor.Image)
	require.Equal(t, "https://staging.example.org", data.Run.Executor.Server)
	placements, err := data.Placements()
	require.NoError(t, err)
	require.Len(t, placements, 6)
	for dir, p := range placements {
		require.True(t, strings.HasPrefix(p.Namespace, "gameday-"), dir)
		require.Equal(t, "node-of-"+p.Pod, p.Node)
		require.Equal(t, image, p.Image)
		require.Equal(t, 7, p.Host.CPUs, "the host is the worker's")
		require.Contains(t, p.Object, p.Pod)
	}
	require.Len(t, r.told(orchestrator.TrialFinished), 6)
	require.ElementsMatch(t, []string{"b/nop/1 infra_error", "c/nop/1 infra_error"}, r.told(orchestrator.TrialRetried))
	require.Contains(t, r.told(orchestrator.Note)[0], "4 trials on 2 workers of staging (https://staging.example.org), namespace gameday-")
}

func TestPodsAreRestricted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var mu sync.Mutex
	var namespace *corev1.Namespace
	r.client.PrependReactor("create", "namespaces", func(action clienttesting.Action) (bool, runtime.Object, error) {
		create, ok := action.(clienttesting.CreateAction)
		if ns, isNamespace := create.GetObject().(*corev1.Namespace); ok && isNamespace {
			mu.Lock()
			defer mu.Unlock()
			namespace = ns
		}
		return false, nil, nil
	})
	e := r.executor()
	e.Env = map[string]string{"MODEL_KEY": "secret"}
	require.NoError(t, e.Play(t.Context(), r.begin(t, "a", "b", "c")))
	require.Equal(t, "restricted", namespace.Labels[podapi.EnforceLevelLabel])
	require.Len(t, r.jobs, 1)
	job := r.jobs[0]
	require.Equal(t, int32(3), *job.Spec.Completions)
	require.Equal(t, int32(2), *job.Spec.Parallelism)
	require.Equal(t, int32(3), *job.Spec.BackoffLimitPerIndex, "one retry, and two crashes")
	deployments, err := r.client.AppsV1().Deployments(namespace.Name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, deployments.Items, 1)

	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	for name, template := range map[string]corev1.PodTemplateSpec{"worker": job.Spec.Template, "depot": deployments.Items[0].Spec.Template} {
		level := podapi.LevelVersion{Level: podapi.LevelRestricted, Version: podapi.LatestVersion()}
		verdict := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec))
		require.True(t, verdict.Allowed, "%s: %s", name, verdict.ForbiddenDetail())
		container := template.Spec.Containers[0]
		require.True(t, *container.SecurityContext.ReadOnlyRootFilesystem, name)
		require.False(t, *template.Spec.AutomountServiceAccountToken, name)
		require.Equal(t, image, container.Image, name)
	}
	variables := map[string]corev1.EnvVar{}
	for _, v := range job.Spec.Template.Spec.Containers[0].Env {
		variables[v.Name] = v
	}
	require.Empty(t, variables["MODEL_KEY"].Value, "it is in a Secret")
	require.Equal(t, "MODEL_KEY", variables["MODEL_KEY"].ValueFrom.SecretKeyRef.Key)
}

func TestPodsThatDieAreTriedAgainAndGivenUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.play = ends(map[string][]results.Status{"a": {"", results.Graded}, "b": {"", "", "", ""}})
	w := r.begin(t, "a", "b")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.ElementsMatch(t, []string{"a.r0 graded", "b.r0 infra_error"}, recorded(t, w))
	data, err := results.Load(w.Store.Dir())
	require.NoError(t, err)
	for _, record := range data.Trials {
		if record.Problem != "b" {
			continue
		}
		require.Equal(t, "infra", record.Error.Party)
		require.Equal(t, "its pods died more often than they may; the last time its worker ended with exit code 1", record.Error.Message)
		require.FileExists(t, filepath.Join(data.Dir, filepath.FromSlash(record.Dir), "logs", "worker.log"))
	}
	require.Empty(t, data.Pending([]results.Key{{Problem: "b", Agent: "nop", Attempt: 1}}, 1), "it is given up for a resumed run, too")
	require.Contains(t, r.told(orchestrator.TrialFinished), "b/nop/1 lost")
	require.Contains(t, r.told(orchestrator.TrialRetried), "b/nop/1 its worker ended with exit code 1")
	require.Empty(t, r.namespaces(t))
}

func TestLostNodeCostsOnlyItsTry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.play = ends(map[string][]results.Status{"b": {lost, lost, lost, lost, lost, results.Graded}})
	w := r.begin(t, "a", "b", "c")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.ElementsMatch(t, []string{"a.r0 graded", "b.r0 graded", "c.r0 graded"}, recorded(t, w), "more often than a pod may fail by itself")
	require.Contains(t, strings.Join(r.told(orchestrator.TrialRetried), "\n"), "b/nop/1 its pod was lost: node node-of-workers-1-")
	require.True(t, r.noted("by force: node node-of-workers-1-"))
	require.Empty(t, r.namespaces(t))
}

// TestNodeThatAnswersEndsItsPods: a kubelet that is not ready, for the network of its node for example, still cleans up.
func TestNodeThatAnswersEndsItsPods(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ready = corev1.ConditionFalse
	r.play = ends(map[string][]results.Status{"b": {lost, results.Graded}})
	w := r.begin(t, "a", "b")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.ElementsMatch(t, []string{"a.r0 graded", "b.r0 graded"}, recorded(t, w))
	require.True(t, r.noted("by force: it has not ended within 30s after its grace period"), "it is not waited for without end")
	require.False(t, r.noted("does not answer"))
	require.Contains(t, strings.Join(r.told(orchestrator.TrialRetried), "\n"), "b/nop/1 its pod was lost: it has not ended within 30s")
}

func TestPodThatNeverRanIsNoTry(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.vanishing.Store(2)
	w := r.begin(t, "a")
	require.NoError(t, r.executor().Play(t.Context(), w))
	require.Equal(t, []string{"a.r0 graded"}, recorded(t, w))
	require.Equal(t, []string{"a/nop/1 graded"}, r.told(orchestrator.TrialFinished))
	require.Empty(t, r.told(orchestrator.TrialRetried))
}

func TestDepotIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.play = func(_ context.Context, key results.Key) results.Status {
		if key.Problem == "b" {
			r.breakDepot()
		}
		return results.Graded
	}
	w := r.begin(t, "a", "b")
	e := r.executor()
	e.Workers = 1 // One after the other: a is in the run, or is lost with the depot.
	require.NoError(t, e.Play(t.Context(), w))
	require.ElementsMatch(t, []string{"a.r0 graded", "b.r0 graded"}, recorded(t, w))
	require.Contains(t, strings.Join(r.told(orchestrator.Note), "\n"), "the depot has been out of reach for 3m0s: making another one")
	require.Empty(t, r.namespaces(t))
}

func TestInterruptionGathersWhatIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	r.play = func(ctx context.Context, key results.Key) results.Status {
		if key.Problem == "a" {
			return results.Graded
		}
		cancel(errs.Newf(errs.Interrupted, "stopped by SIGINT"))
		<-ctx.Done()
		return results.Cancelled
	}
	w := r.begin(t, "a", "b", "c")
	e := r.executor()
	e.Workers = 1
	err := e.Play(ctx, w)
	require.Equal(t, errs.Interrupted, errs.PartyOf(err))
	require.ErrorContains(t, err, "stopped by SIGINT")
	require.ElementsMatch(t, []string{"a.r0 graded", "b.r0 cancelled"}, recorded(t, w))
	require.Empty(t, r.told(orchestrator.TrialRetried), "nobody tries again now")
	require.Empty(t, r.namespaces(t))
}

func TestWhatIsLeftIsSaidAndTakenOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	forbidden := true
	var mu sync.Mutex
	for _, resource := range []string{"jobs", "namespaces"} {
		r.client.PrependReactor("delete", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
			mu.Lock()
			defer mu.Unlock()
			return forbidden, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "x", errors.New("not now"))
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	more := make(chan struct{})
	r.play = func(_ context.Context, key results.Key) results.Status {
		if key.Problem == "b" {
			cancel(errs.Newf(errs.Interrupted, "stopped"))
			<-more
		}
		return results.Graded
	}
	w := r.begin(t, "a", "b")
	e := r.executor()
	e.Workers = 1
	err := e.Play(ctx, w)
	require.Equal(t, errs.Interrupted, errs.PartyOf(err))
	require.ErrorContains(t, err, "kubectl --context staging delete namespace gameday-")
	require.Equal(t, []string{"a.r0 graded"}, recorded(t, w))
	require.Len(t, r.namespaces(t), 1)

	mu.Lock()
	forbidden = false
	mu.Unlock()
	close(more)
	w.Trials = w.Trials[1:]
	require.NoError(t, e.Play(t.Context(), w))
	require.ElementsMatch(t, []string{"a.r0 graded", "b.r0 graded"}, recorded(t, w))
	require.Contains(t, strings.Join(r.told(orchestrator.Note), "\n"), "which an earlier process of this run has left")
	require.Len(t, r.jobs, 1, "the Job that went on was followed")
	require.Empty(t, r.namespaces(t))
}

func TestWhatCannotWorkEndsTheRun(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rig         func(*rig)
		party       errs.Party
		says, hints string
	}{
		"another build": {
			func(r *rig) { r.changed = []string{"gameday was v1, is v2"} }, errs.Usage,
			"the image registry.local/gameday/harness:1 cannot play them: it would not be the same run: gameday was v1, is v2", "executables that the run was started with",
		},
		"no image": {
			func(r *rig) { r.pending = &corev1.ContainerStateWaiting{Reason: "InvalidImageName", Message: "bad"} }, errs.Infra,
			"wait for a worker: InvalidImageName: bad", "--registry",
		},
		"no node": {
			func(r *rig) { r.pending = &corev1.ContainerStateWaiting{Reason: "ContainerCreating"} }, errs.Infra,
			"wait for a worker: its pod has not begun", "kubectl --context staging get nodes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			tc.rig(r)
			w := r.begin(t, "a")
			err := r.executor().Play(t.Context(), w)
			require.ErrorContains(t, err, tc.says)
			require.Equal(t, tc.party, errs.PartyOf(err))
			require.Contains(t, errs.HintOf(err), tc.hints)
			require.Empty(t, recorded(t, w))
			require.Empty(t, r.namespaces(t))
		})
	}
}

func TestImageMayBeMissingForAMinute(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.pending = &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "not found"}
	began := r.clock.Now()
	err := r.executor().Play(t.Context(), r.begin(t, "a"))
	require.ErrorContains(t, err, "wait for a worker: ImagePullBackOff: not found")
	require.Greater(t, r.clock.Since(began), time.Minute, "by this machine's clock, whatever the API server's says")
}

func TestServerThatIsAwayIsSaid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.client.PrependReactor("list", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("connection refused")
	})
	err := r.executor().Play(t.Context(), r.begin(t, "a"))
	require.ErrorContains(t, err, "look for what the run has left on staging: connection refused")
	require.Equal(t, errs.Infra, errs.PartyOf(err))
	require.Contains(t, errs.HintOf(err), "https://staging.example.org")
}
