package chaosmesh

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/internal/errs"
)

// refusalLimit bounds the look at what Chaos Mesh has said, when the wait for it is over.
const refusalLimit = 5 * time.Second

// refusals are what tc says, through Chaos Mesh's daemon, where the kernel of a node has no such packet scheduler.
func refusals() []string {
	return []string{
		"Specified qdisc kind is unknown", "RTNETLINK answers: No such file or directory", "RTNETLINK answers: Operation not supported",
	}
}

// hintKernel adds what can be done about a kernel that lacks a packet scheduler, where an error says so.
func hintKernel(err error) error {
	if err == nil || !slices.ContainsFunc(refusals(), func(words string) bool { return strings.Contains(err.Error(), words) }) {
		return err
	}
	return errs.Hint(err, "the kernel of a node lacks a packet scheduler: load it there (sudo modprobe -a sch_netem sch_tbf), or leave the problem out")
}

// said is what Chaos Mesh has reported last about the targets of a set's objects, each once. It is for errors: what cannot be read is missing.
func said(ctx context.Context, env faults.Env, kind, set string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refusalLimit)
	defer cancel()
	list, err := objects(env, kind).List(ctx, metav1.ListOptions{LabelSelector: setLabel + "=" + set})
	if err != nil {
		return "" // See above.
	}
	var out []string
	for i := range list.Items {
		s, err := statusOf(&list.Items[i])
		if err != nil {
			continue
		}
		for _, message := range messages(s) {
			if !slices.Contains(out, message) {
				out = append(out, message)
			}
		}
	}
	return strings.Join(out, "; ")
}

// messages are the last ones about each target of an object.
func messages(s *v1alpha1.ChaosStatus) []string {
	var out []string
	for _, r := range s.Experiment.Records {
		if n := len(r.Events); n > 0 && r.Events[n-1].Message != "" {
			out = append(out, r.Events[n-1].Message)
		}
	}
	return out
}
