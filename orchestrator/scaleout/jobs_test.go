package scaleout_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/depot"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

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
		Status: corev1.PodStatus{Phase: corev1.PodRunning, StartTime: ptr.To(metav1.NewTime(r.clock.Now()))},
	}
	vanishes := r.vanishing.Add(-1) >= 0
	if vanishes {
		pod.Status = corev1.PodStatus{Phase: corev1.PodPending}
	}
	if r.pending != nil {
		pod.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: r.pending}}}}
	}
	if _, err := pods.Create(lasting, pod, metav1.CreateOptions{}); err != nil {
		return errs.ExitError, false
	}
	if vanishes {
		select {
		case <-ctx.Done():
		case <-r.clock.After(10 * time.Second): // Long enough to be seen.
		}
		_ = pods.Delete(lasting, name, metav1.DeleteOptions{})
		return errs.ExitError, true
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

// loseNode is what Kubernetes does about a node that is not well: the pod is to go, and stays. It returns when somebody else has
// removed the pod.
func (r *rig) loseNode(ctx context.Context, pod *corev1.Pod) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: pod.Spec.NodeName}, Status: corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: r.ready}},
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
