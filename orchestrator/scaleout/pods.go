package scaleout

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
)

// podState is what is known of one pod of the Job.
type podState struct {
	index int
	name  string
	// began is when its worker was first seen to run; zero for one that was never seen.
	began time.Time
	// ended is true once the pod is over, told once what became of its trial is known. why says how it ended, after "tried again
	// after"; code is the exit code.
	ended, told bool
	why         string
	code        int32
}

// look reads the Job and its pods.
func (s *session) look(ctx context.Context) (*batchv1.Job, error) {
	job, err := s.Cluster.Client.BatchV1().Jobs(s.namespace).Get(ctx, jobName, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("get job: %w", err)
	}
	if s.current, err = s.workers(ctx); err != nil {
		return nil, err
	}
	s.observe()
	return job, nil
}

// workers are the pods of the Job, but for those that have succeeded: what these have played is in the store, and there is one for each
// trial in the end.
func (s *session) workers(ctx context.Context) ([]corev1.Pod, error) {
	pods, err := s.Cluster.Client.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{
		LabelSelector: partLabel + "=" + workerPart,
		FieldSelector: fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)).String(),
	})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	return pods.Items, nil
}

// observe takes note of what the pods do.
func (s *session) observe() {
	here := map[types.UID]bool{}
	for i := range s.current {
		here[s.current[i].UID] = true
		s.observePod(&s.current[i])
	}
	for uid, state := range s.pods {
		if !here[uid] && !state.ended {
			state.ended, state.why = true, cmp.Or(state.why, "its pod went away")
		}
	}
}

func (s *session) observePod(pod *corev1.Pod) {
	index, err := strconv.Atoi(pod.Annotations[batchv1.JobCompletionIndexAnnotation])
	if err != nil || index < 0 || index >= len(s.plan.Tasks) {
		return // Not one that the Job has made.
	}
	state, known := s.pods[pod.UID]
	if !known {
		state = &podState{index: index, name: pod.Name}
		s.pods[pod.UID] = state
	}
	if terminal(pod) {
		if started := pod.Status.StartTime; state.began.IsZero() && started != nil {
			state.began = started.Time
		}
		state.ended = true
		state.why, state.code = ending(pod)
		if state.code == int32(errs.ExitUnfit) && s.unfit == "" {
			s.unfit = cmp.Or(said(pod), state.why)
		}
		return
	}
	if state.began.IsZero() && pod.Status.Phase == corev1.PodRunning {
		task := s.plan.Tasks[index]
		state.began = s.Clock.Now()
		s.board.event(orchestrator.Event{
			Type: orchestrator.TrialStarted, Trial: task.Key.String(),
			Fields: map[string]any{"seed": task.Seed, "pod": pod.Name, "node": pod.Spec.NodeName},
		})
	}
}

// settle tells of the pods that are over and have left no try: there will be none.
func (s *session) settle() {
	var over []*podState
	for _, state := range s.pods {
		if state.ended && !state.told {
			over = append(over, state)
		}
	}
	slices.SortFunc(over, func(a, b *podState) int {
		return cmp.Or(cmp.Compare(a.index, b.index), strings.Compare(a.name, b.name))
	})
	for _, state := range over {
		state.told = true
		key := s.plan.Tasks[state.index].Key
		if s.stored[state.name] || s.board.final(key) || state.code == int32(errs.ExitUnfit) {
			continue
		}
		if state.began.IsZero() {
			continue // Its try never began, so nobody waits for the end of it.
		}
		s.board.cut(key, state.began, state.why)
	}
}

// last is the pod of an index that was the last to begin; nil where none is known.
func (s *session) last(index int) *podState {
	var found *podState
	for _, state := range s.pods {
		if state.index == index && (found == nil || state.began.After(found.began)) {
			found = state
		}
	}
	return found
}

// running reports whether the worker of any pod runs.
func running(pods []corev1.Pod) bool {
	return slices.ContainsFunc(pods, func(p corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning })
}

// terminal reports whether a pod is over.
func terminal(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// ending says how a pod that is over ended, with the exit code of its worker.
func ending(pod *corev1.Pod) (why string, code int32) {
	for _, c := range pod.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil {
			why, code = fmt.Sprintf("its worker ended with exit code %d", t.ExitCode), t.ExitCode
			if t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed" {
				why += " (" + t.Reason + ")"
			}
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return lostBy(strings.TrimSuffix(cmp.Or(c.Message, c.Reason, "it was disrupted"), ".")), code
		}
	}
	return cmp.Or(pod.Status.Message, why, "its pod has failed"), code
}

// lostBy is the end of a pod that somebody else than its worker has ended.
func lostBy(why string) string { return "its pod was lost: " + why }

// said is the end of what the worker of a pod has printed.
func said(pod *corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil {
			lines := strings.Split(strings.TrimSpace(t.Message), "\n")
			for _, line := range lines {
				if text, ok := strings.CutPrefix(line, "error: "); ok {
					return text
				}
			}
			return lines[len(lines)-1]
		}
	}
	return ""
}
