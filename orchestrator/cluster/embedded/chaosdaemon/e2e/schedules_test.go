package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

// victims is what the example of a schedule kills.
const victims = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: tikv}
spec:
  replicas: 2
  selector: {matchLabels: {app: tikv}}
  template:
    metadata: {labels: {app: tikv, app.kubernetes.io/component: tikv}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "registry.local/library/busybox:1.36", args: [sh, -c, "sleep 100000"]}]
`

// TestSchedulePolicies: what a schedule keeps of the past, and when it makes nothing.
func TestSchedulePolicies(t *testing.T) {
	t.Parallel()
	r := fixture.Rig(t)
	r.Apply(victims)
	r.Available("tikv")
	for _, tc := range []struct {
		name string
		run  func(*clustertest.Rig)
	}{
		{"history", history}, {"forbid", forbid}, {"allow", allow}, {"starting deadline", startingDeadline},
		{"values that are no schedule", rejectedSchedules},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.run(r.With(t)) })
	}
}

// made is the chaos of a kind that a schedule has made and that is still there, the oldest first.
func made(r *clustertest.Rig, kind, schedule string) []unstructured.Unstructured {
	r.T.Helper()
	found, err := r.Client(ofKind(kind, "")).List(r.T.Context(), metav1.ListOptions{LabelSelector: "managed-by=" + schedule})
	require.NoError(r.T, err)
	slices.SortFunc(found.Items, func(a, b unstructured.Unstructured) int {
		return a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time)
	})
	return found.Items
}

func names(objects []unstructured.Unstructured) []string {
	out := []string{}
	for _, o := range objects {
		out = append(out, o.GetName())
	}
	return out
}

// ofKind is an object of Chaos Mesh of which only the name is known.
func ofKind(kind, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("chaos-mesh.org/v1alpha1")
	o.SetKind(kind)
	o.SetName(name)
	return o
}

// end deletes a schedule, and waits until what it has made is gone too.
func end(r *clustertest.Rig, kind, schedule string) {
	r.T.Helper()
	o := ofKind("Schedule", schedule)
	require.NoError(r.T, r.Client(o).Delete(r.T.Context(), schedule, metav1.DeleteOptions{}))
	r.Eventually("nothing of "+schedule+" is left", func() (bool, string) {
		left := made(r, kind, schedule)
		return len(left) == 0, fmt.Sprint(names(left))
	})
}

// history runs the example, which kills a pod every few seconds, with a shorter history: of all that it makes, the newest two stay.
func history(r *clustertest.Rig) {
	r.Apply(strings.NewReplacer("@every 5s", "@every 2s", "historyLimit: 5", "historyLimit: 2").Replace(exampleText(r.T, "schedule-podchaos.yaml")))
	const name = "schedule-pod-kill-example"
	before := uids(r)
	seen := []string{}
	r.Eventually("of five, the newest two are left", func() (bool, string) {
		now := names(made(r, "PodChaos", name))
		for _, n := range now {
			if !slices.Contains(seen, n) {
				seen = append(seen, n)
			}
		}
		return len(seen) >= 5 && slices.Equal(now, seen[len(seen)-2:]), fmt.Sprint(now, " of ", seen)
	})
	require.NotEqual(r.T, before, uids(r), "pods were killed")
	active, _, _ := unstructured.NestedSlice(status(r, ofKind("Schedule", name)), "active")
	require.NotEmpty(r.T, active, "the status names what is there")
	end(r, "PodChaos", name)
	r.Available("tikv")
}

// uids are those of the pods that the example kills.
func uids(r *clustertest.Rig) []types.UID {
	r.T.Helper()
	list, err := r.Kube.CoreV1().Pods(r.Namespace).List(r.T.Context(), metav1.ListOptions{LabelSelector: "app=tikv"})
	require.NoError(r.T, err)
	var out []types.UID
	for _, p := range list.Items {
		out = append(out, p.UID)
	}
	slices.Sort(out)
	return out
}

// delaying is a schedule of delays that last longer than the time between them.
func delaying(name, policy string) string {
	return fmt.Sprintf(`
apiVersion: chaos-mesh.org/v1alpha1
kind: Schedule
metadata: {name: %s}
spec:
  schedule: "@every 2s"
  type: NetworkChaos
  historyLimit: 5
  concurrencyPolicy: %s
  networkChaos: {action: delay, mode: all, selector: {labelSelectors: {app: tikv}}, delay: {latency: 1ms}, duration: 600s}
`, name, policy)
}

// forbid: while what it has made goes on, a schedule makes nothing, and says so.
func forbid(r *clustertest.Rig) {
	r.Apply(delaying("alone", "Forbid"))
	r.Eventually("the schedule has made chaos", func() (bool, string) {
		now := names(made(r, "NetworkChaos", "alone"))
		return len(now) == 1, fmt.Sprint(now)
	})
	running := made(r, "NetworkChaos", "alone")[0]
	r.Event("Schedule", "alone", "Forbid", running.GetName()+" is still running")
	require.Equal(r.T, []string{running.GetName()}, names(made(r, "NetworkChaos", "alone")))
	// When it has ended, the next comes.
	require.NoError(r.T, r.Client(&running).Delete(r.T.Context(), running.GetName(), metav1.DeleteOptions{}))
	r.Eventually("the next chaos is there", func() (bool, string) {
		now := names(made(r, "NetworkChaos", "alone"))
		return len(now) == 1 && now[0] != running.GetName(), fmt.Sprint(now)
	})
	end(r, "NetworkChaos", "alone")
}

// allow: several go on at once.
func allow(r *clustertest.Rig) {
	r.Apply(delaying("together", "Allow"))
	r.Eventually("three are injected at once", func() (bool, string) {
		injected := []string{}
		for _, o := range made(r, "NetworkChaos", "together") {
			if isTrue(o, "AllInjected") {
				injected = append(injected, o.GetName())
			}
		}
		return len(injected) >= 3, fmt.Sprint(injected)
	})
	end(r, "NetworkChaos", "together")
}

// isTrue says whether a condition of an object that was read is true.
func isTrue(o unstructured.Unstructured, kind string) bool {
	conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(c any) bool {
		fields, ok := c.(map[string]any)
		return ok && fields["type"] == kind && fields["status"] == "True"
	})
}

// period is how far apart the times of these schedules are, deadline how late they may be. Both are in seconds.
const (
	period   = 15
	deadline = 2
)

// startingDeadline: two schedules were paused over one of their times. The one without a deadline makes up for it as soon as it goes on; the
// other waits for its next time.
func startingDeadline(r *clustertest.Rig) {
	for _, schedule := range []struct{ name, field string }{
		{"late", ""}, {"punctual", fmt.Sprintf("startingDeadlineSeconds: %d", deadline)},
	} {
		r.Apply(fmt.Sprintf(`
apiVersion: chaos-mesh.org/v1alpha1
kind: Schedule
metadata: {name: %s, annotations: {experiment.chaos-mesh.org/pause: "true"}}
spec:
  schedule: "*/%d * * * * *"
  type: NetworkChaos
  historyLimit: 1
  concurrencyPolicy: Forbid
  networkChaos: {action: delay, mode: all, selector: {labelSelectors: {app: tikv}}, delay: {latency: 1ms}, duration: 600s}
  %s
`, schedule.name, period, schedule.field))
	}
	created := time.Now()
	r.Eventually("one of their times is over, and no other is near", func() (bool, string) {
		now := time.Now()
		missed := now.Truncate(period * time.Second).After(created)
		since := now.Sub(now.Truncate(period * time.Second))
		return missed && since > (deadline+1)*time.Second && since < period/2*time.Second, now.String()
	})
	require.Empty(r.T, made(r, "NetworkChaos", "late"))
	require.Empty(r.T, made(r, "NetworkChaos", "punctual"))
	resumed := time.Now()
	for _, name := range []string{"punctual", "late"} {
		_, err := r.Client(ofKind("Schedule", name)).Patch(r.T.Context(), name, types.MergePatchType,
			[]byte(`{"metadata":{"annotations":{"experiment.chaos-mesh.org/pause":"false"}}}`), metav1.PatchOptions{})
		require.NoError(r.T, err)
	}
	first := func(name string) time.Time {
		var at time.Time
		r.Eventually(name+" has made chaos", func() (bool, string) {
			now := made(r, "NetworkChaos", name)
			if len(now) == 0 {
				return false, "nothing"
			}
			at = now[0].GetCreationTimestamp().Time
			return true, ""
		})
		return at
	}
	next := resumed.Truncate(period * time.Second).Add(period * time.Second)
	late, punctual := first("late"), first("punctual")
	require.True(r.T, late.Before(next), "made up for at %s", late)
	require.False(r.T, punctual.Before(next), "not made up for at %s", punctual)
	end(r, "NetworkChaos", "late")
	end(r, "NetworkChaos", "punctual")
}

func rejectedSchedules(r *clustertest.Rig) {
	for _, tc := range []struct{ from, to, want string }{
		{"@every 2s", "now and then", "spec.schedule"},
		{"concurrencyPolicy: Forbid", "concurrencyPolicy: Replace", "spec.concurrencyPolicy"},
		{"historyLimit: 5", "startingDeadlineSeconds: 0", "spec.startingDeadlineSeconds"},
	} {
		text := delaying("wrong", "Forbid")
		require.Contains(r.T, text, tc.from)
		require.Contains(r.T, r.Rejected(strings.Replace(text, tc.from, tc.to, 1)), tc.want)
	}
}
