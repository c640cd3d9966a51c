package scaleout_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/scaleout"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/depot"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

const (
	image = "registry.local/gameday/harness:1"
	// lost is what a try ends with whose node is gone; it is no status of a trial. An empty status is a worker that dies.
	lost results.Status = "lost"
)

// rig is a cluster of which only the objects are real, with a Job controller that does what is needed of it. Workers run in this
// process, and speak to real depots.
type rig struct {
	client *fake.Clientset
	clock  *clocktesting.FakeClock
	server *httptest.Server
	dir    string
	// play is what the player of a worker does; it returns how the try ends.
	play func(ctx context.Context, key results.Key) results.Status
	// changed is what a player finds different from the run.
	changed []string
	// pending, unless it is nil, is what keeps every pod from running.
	pending *corev1.ContainerStateWaiting
	wg      sync.WaitGroup

	mu     sync.Mutex
	pods   int
	events []orchestrator.Event
	jobs   []*batchv1.Job
	// down are the depots that do not answer, as NAMESPACE/GENERATION.
	down map[string]bool
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{
		client: fake.NewSimpleClientset(), clock: clocktesting.NewFakeClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), dir: t.TempDir(),
		down: map[string]bool{}, play: func(context.Context, results.Key) results.Status { return results.Graded },
	}
	r.server = httptest.NewServer(http.HandlerFunc(r.depot))
	jobs, err := r.client.BatchV1().Jobs(metav1.NamespaceAll).Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	r.wg.Go(func() { r.controller(t.Context(), jobs) })
	r.wg.Go(func() { r.pump(t.Context()) })
	t.Cleanup(func() {
		jobs.Stop()
		r.wg.Wait()
		r.server.Close()
	})
	return r
}

// pump lets time go by for the executor, two seconds at a time and faster than it does.
func (r *rig) pump(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.clock.Step(2 * time.Second)
		}
	}
}

// depot answers for the depot to which the Service of a namespace leads: /NAMESPACE/...
func (r *rig) depot(w http.ResponseWriter, req *http.Request) {
	namespace, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	service, err := r.client.CoreV1().Services(namespace).Get(req.Context(), "depot", metav1.GetOptions{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	generation := service.Spec.Selector["gameday.dev/generation"]
	r.mu.Lock()
	down := r.down[namespace+"/"+generation]
	r.mu.Unlock()
	dir := filepath.Join(r.dir, namespace+"-"+generation)
	if err := os.MkdirAll(dir, 0o755); err != nil || down {
		http.Error(w, "no endpoints available for service", http.StatusServiceUnavailable)
		return
	}
	server := &depot.Server{Dir: dir, Token: r.token(req.Context(), namespace)}
	http.StripPrefix("/"+namespace, server.Handler()).ServeHTTP(w, req)
}

func (r *rig) token(ctx context.Context, namespace string) string {
	secret, err := r.client.CoreV1().Secrets(namespace).Get(ctx, "depot", metav1.GetOptions{})
	if err != nil {
		return ""
	}
	return string(secret.Data[depot.TokenFile])
}

// breakDepot has the first depot of the first session answer no more.
func (r *rig) breakDepot() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down[r.jobs[0].Namespace+"/1"] = true
}

// controller runs each Job from when it is made to its end, or until it is deleted.
func (r *rig) controller(ctx context.Context, jobs watch.Interface) {
	stop := map[string]context.CancelFunc{}
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-jobs.ResultChan():
			if !ok {
				return
			}
			job, ok := e.Object.(*batchv1.Job)
			if !ok {
				continue
			}
			switch e.Type {
			case watch.Added:
				own, cancel := context.WithCancel(ctx)
				stop[job.Namespace] = cancel
				r.mu.Lock()
				r.jobs = append(r.jobs, job)
				r.mu.Unlock()
				r.wg.Go(func() { r.control(own, job) })
			case watch.Deleted:
				stop[job.Namespace]()
			}
		}
	}
}

// control plays the indexes of a Job, and says in its status how it ended.
func (r *rig) control(ctx context.Context, job *batchv1.Job) {
	places := make(chan struct{}, *job.Spec.Parallelism)
	codes := make([]int, *job.Spec.Completions)
	var all sync.WaitGroup
	for index := range codes {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		all.Go(func() {
			codes[index] = r.playIndex(ctx, job, index)
			<-places
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return
	}
	end := batchv1.JobCondition{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}
	var failed []string
	for index, code := range codes {
		if code == errs.ExitUnfit {
			end.Type, end.Reason = batchv1.JobFailed, batchv1.JobReasonPodFailurePolicy
		} else if code != 0 {
			failed = append(failed, strconv.Itoa(index))
		}
	}
	if len(failed) > 0 && end.Reason == "" {
		end.Type, end.Reason = batchv1.JobFailed, batchv1.JobReasonFailedIndexes
	}
	ended := job.DeepCopy()
	ended.Status.Conditions, ended.Status.FailedIndexes = []batchv1.JobCondition{end}, ptr.To(strings.Join(failed, ","))
	_, _ = r.client.BatchV1().Jobs(job.Namespace).UpdateStatus(context.WithoutCancel(ctx), ended, metav1.UpdateOptions{}) // It may be deleted.
}

// playIndex runs pods until one succeeds or too many have failed, and returns the last exit code. Disruptions do not count.
func (r *rig) playIndex(ctx context.Context, job *batchv1.Job, index int) int {
	for failures := int32(0); ; {
		code, disrupted := r.playPod(ctx, job, index)
		if ctx.Err() != nil || !disrupted && (code == 0 || code == errs.ExitUnfit) {
			return code
		}
		if !disrupted {
			failures++
		}
		if failures > *job.Spec.BackoffLimitPerIndex {
			return code
		}
	}
}

// playPod runs one pod to its end, whoever ends it.
func (r *rig) playPod(ctx context.Context, job *batchv1.Job, index int) (code int, disrupted bool) {
	r.mu.Lock()
	r.pods++
	name := fmt.Sprintf("workers-%d-%d", index, r.pods)
	r.mu.Unlock()
	pods, lasting := r.client.CoreV1().Pods(job.Namespace), context.WithoutCancel(ctx)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: job.Namespace, UID: types.UID(name), Labels: job.Spec.Template.Labels,
			Annotations: map[string]string{batchv1.JobCompletionIndexAnnotation: strconv.Itoa(index)},
		},
		Spec:   corev1.PodSpec{NodeName: "node-of-" + name},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	if r.pending != nil {
		pod.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: r.pending}}}}
	}
	if _, err := pods.Create(lasting, pod, metav1.CreateOptions{}); err != nil {
		return errs.ExitError, false
	}
	if r.pending != nil {
		<-ctx.Done()
		_ = pods.Delete(lasting, name, metav1.DeleteOptions{})
		return errs.ExitError, false
	}
	err := r.work(ctx, job.Namespace, index, pod)
	if errors.Is(err, errLost) {
		r.loseNode(lasting, pod)
		return errs.ExitError, true
	}
	code = errs.ExitCode(err)
	pod.Status.Phase = corev1.PodSucceeded
	terminated := &corev1.ContainerStateTerminated{ExitCode: int32(code)}
	if err != nil {
		pod.Status.Phase, terminated.Message = corev1.PodFailed, "some log\nerror: "+err.Error()+"\nhint: none\n"
	}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "gameday", State: corev1.ContainerState{Terminated: terminated}}}
	_, _ = pods.UpdateStatus(lasting, pod, metav1.UpdateOptions{}) // It may be deleted.
	return code, false
}

// loseNode is what Kubernetes does about a node that does not answer: the pod is to go, and stays. It returns when somebody else has
// removed the pod.
func (r *rig) loseNode(ctx context.Context, pod *corev1.Pod) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: pod.Spec.NodeName}, Status: corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}},
	}}
	_, _ = r.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	now := metav1.NewTime(r.clock.Now())
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &now, ptr.To(int64(120))
	_, _ = r.client.CoreV1().Pods(pod.Namespace).Update(ctx, pod, metav1.UpdateOptions{})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		if _, err := r.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{}); apierrors.IsNotFound(err) {
			return
		}
		<-tick.C
	}
}

// work is the process in a pod.
func (r *rig) work(ctx context.Context, namespace string, index int, pod *corev1.Pod) error {
	env := map[string]string{
		"JOB_COMPLETION_INDEX": strconv.Itoa(index), "GAMEDAY_WORKER_POD": pod.Name, "GAMEDAY_WORKER_NAMESPACE": namespace,
		"GAMEDAY_WORKER_NODE": pod.Spec.NodeName, "GAMEDAY_WORKER_IMAGE": image,
	}
	dir := filepath.Join(r.dir, pod.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	store := depot.NewClient(r.server.URL+"/"+namespace, r.token(ctx, namespace), nil)
	w, err := scaleout.WorkerOf(store, dir, func(name string) (string, bool) { value, ok := env[name]; return value, ok })
	if err != nil {
		return err
	}
	return w.Work(ctx, func([]string) (scaleout.Player, error) { return player{r}, nil })
}

// player writes what a trial of the rig leaves.
type player struct{ rig *rig }

var errLost = errors.New("the node is gone")

func (p player) Mismatch(results.Run) ([]string, error) { return p.rig.changed, nil }

func (p player) PlayTry(ctx context.Context, run results.Run, dir string, t scenarios.Trial) (results.TrialRecord, string, error) {
	record := results.TrialRecord{Key: t.Key, Seed: t.Seed, Tasks: []string{"detection"}, Status: p.rig.play(ctx, t.Key)}
	switch record.Status {
	case "":
		return record, "", errors.New("out of memory")
	case lost:
		return record, "", errLost
	case results.InfraError:
		record.Error = &results.Failure{Party: "infra", Message: "no more ports"}
	}
	store, err := results.Create(dir, results.Run{ID: run.ID, Host: results.Host{OS: "linux", CPUs: 7}})
	if err != nil {
		return record, "", err
	}
	defer store.Close()
	trial, err := store.OpenTrial(t.Key)
	if err != nil {
		return record, "", err
	}
	return record, trial.Dir(), trial.Finish(record)
}

// executor plays on the rig.
func (r *rig) executor() *scaleout.Executor {
	return &scaleout.Executor{
		Cluster: &scaleout.Cluster{
			Context: "staging", Server: "https://staging.example.org", Client: r.client,
			Proxy: func(namespace, _ string, _ int32) (string, http.RoundTripper, error) {
				return r.server.URL + "/" + namespace, http.DefaultTransport, nil
			},
		},
		Workers: 2, Image: func(context.Context) (string, error) { return image, nil }, Clock: r.clock,
	}
}

// begin makes a run with one trial for each problem, and what an executor is asked to do for it.
func (r *rig) begin(t *testing.T, problems ...string) orchestrator.Work {
	t.Helper()
	const retries = 1
	store, err := results.Create(t.TempDir(), results.Run{
		ID: "20260102T030405Z-x-1a2b3c", Scenario: "x", InfraRetries: retries, Executor: &results.Executor{Kind: "kubernetes", Context: "staging"},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	w := orchestrator.Work{
		Config: orchestrator.RunConfig{InfraRetries: retries}, Store: store, Observer: orchestrator.ObserverFunc(r.observe),
		Blank: func(trial scenarios.Trial) (results.TrialRecord, error) {
			return results.TrialRecord{Key: trial.Key, Seed: trial.Seed, Tasks: []string{"detection"}}, nil
		},
	}
	for i, problem := range problems {
		key := results.Key{Problem: problem, Agent: "nop", Attempt: 1}
		w.Trials = append(w.Trials, orchestrator.Assignment{Trial: scenarios.Trial{Key: key, Seed: int64(i)}})
	}
	return w
}

func (r *rig) observe(e orchestrator.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// told are the events of a type, as TRIAL MESSAGE.
func (r *rig) told(kind orchestrator.EventType) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, e := range r.events {
		if e.Type == kind {
			out = append(out, strings.TrimSpace(e.Trial+" "+e.Message))
		}
	}
	return out
}

// namespaces are those that are there.
func (r *rig) namespaces(t *testing.T) []string {
	t.Helper()
	list, err := r.client.CoreV1().Namespaces().List(context.WithoutCancel(t.Context()), metav1.ListOptions{})
	require.NoError(t, err)
	var out []string
	for _, ns := range list.Items {
		out = append(out, ns.Name)
	}
	return out
}

// ends plays tries to the ends that are given for each problem, in turn; what has none is graded.
func ends(of map[string][]results.Status) func(context.Context, results.Key) results.Status {
	var mu sync.Mutex
	return func(_ context.Context, key results.Key) results.Status {
		mu.Lock()
		defer mu.Unlock()
		rest := of[key.Problem]
		if len(rest) == 0 {
			return results.Graded
		}
		of[key.Problem] = rest[1:]
		return rest[0]
	}
}

// recorded are the tries in the run, as TRIAL.rN STATUS.
func recorded(t *testing.T, w orchestrator.Work) []string {
	t.Helper()
	data, err := results.Load(w.Store.Dir())
	require.NoError(t, err)
	var out []string
	for _, r := range data.Trials {
		require.FileExists(t, filepath.Join(data.Dir, filepath.FromSlash(r.Dir), results.TrialFile))
		out = append(out, fmt.Sprintf("%s.r%d %s", r.Problem, r.Retry, r.Status))
	}
	return out
}
