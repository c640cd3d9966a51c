package chaosmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/readiness"
)

// StepError says at which step Chaos Mesh did not do what it should, and what it said itself.
type StepError struct {
	// Step is an imperative, for example "inject the fault".
	Step string
	Err  error
	// Events are the last warnings of Chaos Mesh's namespace, the latest last. Tails are the ends of the logs of its programs. What could
	// not be read is missing.
	Events []string
	Tails  []Tail
}

// Tail is the end of a program's log.
type Tail struct {
	Pod   string
	Lines []string
}

func (e *StepError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", e.Step, e.Err)
	if len(e.Events) > 0 {
		fmt.Fprintf(&b, "\nlast warnings:\n  %s", strings.Join(e.Events, "\n  "))
	}
	for _, t := range e.Tails {
		fmt.Fprintf(&b, "\nlast lines of %s:\n  %s", t.Pod, strings.Join(t.Lines, "\n  "))
	}
	return b.String()
}

func (e *StepError) Unwrap() error { return e.Err }

const (
	tailLines   = 8
	tailEvents  = 3
	lineLimit   = 400
	eventsLimit = 500
)

// failed is the error of a step, with what can be learned at the moment. node is where the canary is; "" where there is none. Nothing is
// collected when the work was called off.
func (r *Release) failed(ctx context.Context, step, node string, err error, hint string) error {
	e := &StepError{Step: step, Err: err}
	if errors.Is(ctx.Err(), context.Canceled) {
		return e
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.pace.logs)
	defer cancel()
	e.Events, e.Tails = r.warnings(after), r.tails(after, node)
	return errs.Hint(errs.With(errs.Infra, e), "%s", hint)
}

// warnings are the last warnings of the namespace.
func (r *Release) warnings(ctx context.Context) []string {
	list, err := r.kube.CoreV1().Events(r.namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "type=" + corev1.EventTypeWarning, Limit: eventsLimit,
	})
	if err != nil {
		return nil
	}
	events := slices.DeleteFunc(list.Items, func(e corev1.Event) bool { return e.Type != corev1.EventTypeWarning })
	slices.SortStableFunc(events, func(a, b corev1.Event) int {
		return cmp.Compare(a.LastTimestamp.UnixNano(), b.LastTimestamp.UnixNano())
	})
	var out []string
	for _, e := range events[max(0, len(events)-tailEvents):] {
		out = append(out, shorten(fmt.Sprintf("%s %s: %s: %s", strings.ToLower(e.InvolvedObject.Kind), e.InvolvedObject.Name, e.Reason, e.Message)))
	}
	return out
}

// tails are the ends of the logs of a controller and of a daemon: the one on a node where that is given, else one that is not ready.
func (r *Release) tails(ctx context.Context, node string) []Tail {
	var out []Tail
	for _, part := range []struct{ selector, node string }{{controllerLabel, ""}, {daemonLabel, node}} {
		pods, err := r.kube.CoreV1().Pods(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: part.selector})
		if err != nil || len(pods.Items) == 0 {
			continue
		}
		chosen := slices.MinFunc(pods.Items, func(a, b corev1.Pod) int { return cmp.Compare(rank(a, part.node), rank(b, part.node)) })
		if lines := r.logOf(ctx, &chosen); len(lines) > 0 {
			out = append(out, Tail{Pod: chosen.Name, Lines: lines})
		}
	}
	return out
}

// rank orders pods by how much their logs may tell: least is best.
func rank(p corev1.Pod, node string) int {
	switch {
	case node != "" && p.Spec.NodeName == node:
		return 0
	case !readiness.Pod(&p):
		return 1
	}
	return 2
}

// logOf is the end of the log of a pod's first container, or of the one before it where that has said nothing.
func (r *Release) logOf(ctx context.Context, p *corev1.Pod) []string {
	if len(p.Spec.Containers) == 0 {
		return nil
	}
	for _, previous := range []bool{false, true} {
		o := &corev1.PodLogOptions{Container: p.Spec.Containers[0].Name, TailLines: ptr.To[int64](tailLines), Previous: previous}
		data, err := r.kube.CoreV1().Pods(p.Namespace).GetLogs(p.Name, o).DoRaw(ctx)
		text := strings.TrimSpace(string(data))
		if err != nil || text == "" {
			continue
		}
		var out []string
		for line := range strings.Lines(text) {
			out = append(out, shorten(strings.TrimSpace(line)))
		}
		return out
	}
	return nil
}

// shorten cuts what is too long for an error.
func shorten(s string) string {
	if len(s) <= lineLimit {
		return s
	}
	return strings.ToValidUTF8(s[:lineLimit], "") + "..."
}
