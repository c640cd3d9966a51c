package scaleout_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

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
	// vanishing is how many pods are removed before they run.
	vanishing atomic.Int32
	// ready is what nodes that are lost say about themselves.
	ready corev1.ConditionStatus
	// between, unless it is nil, answers in place of the depot where it returns true.
	between func(w http.ResponseWriter, req *http.Request) bool
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
		down: map[string]bool{}, ready: corev1.ConditionUnknown, play: func(context.Context, results.Key) results.Status { return results.Graded },
	}
	r.client.PrependReactor("list", "pods", r.listPods)
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

// listPods lists pods as the API server does: the fake takes no notice of what is selected by fields.
func (r *rig) listPods(action clienttesting.Action) (bool, runtime.Object, error) {
	list, ok := action.(clienttesting.ListActionImpl)
	if !ok {
		return false, nil, nil
	}
	found, err := r.client.Tracker().List(list.GetResource(), list.GetKind(), list.GetNamespace())
	pods, ok := found.(*corev1.PodList)
	if err != nil || !ok {
		return true, nil, err
	}
	out := &corev1.PodList{}
	for _, pod := range pods.Items {
		if list.GetListRestrictions().Fields.Matches(fields.Set{"status.phase": string(pod.Status.Phase)}) {
			out.Items = append(out.Items, pod)
		}
	}
	return true, out, nil
}

// depot answers for the depot to which the Service of a namespace leads: /NAMESPACE/...
func (r *rig) depot(w http.ResponseWriter, req *http.Request) {
	if r.between != nil && r.between(w, req) {
		return
	}
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

// unreadable has the store keep tries to itself whose keys begin with prefix, until there is another depot.
func (r *rig) unreadable(prefix string) {
	r.between = func(w http.ResponseWriter, req *http.Request) bool {
		if !readsTry(req, prefix) || r.noted("making another one") {
			return false
		}
		http.Error(w, "error trying to reach service", http.StatusServiceUnavailable)
		return true
	}
}

// readsTry reports whether a try is asked for whose key begins with prefix. Only executors do that.
func readsTry(req *http.Request, prefix string) bool {
	return req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/objects/"+prefix)
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

// noted reports whether a note has said something.
func (r *rig) noted(what string) bool {
	return strings.Contains(strings.Join(r.told(orchestrator.Note), "\n"), what)
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
