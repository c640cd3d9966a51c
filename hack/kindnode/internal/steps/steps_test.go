package steps_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/steps"
)

// work is a set of steps that write down when they run.
type work struct {
	began []string
	plan  *steps.Plan
}

// writes returns what a step's Run does that writes text.
func writes(text string) func(context.Context, string, steps.Dirs) (string, error) {
	return func(_ context.Context, dir string, _ steps.Dirs) (string, error) {
		return "wrote " + text, os.WriteFile(filepath.Join(dir, "text"), []byte(text), 0o644)
	}
}

// joins writes what the steps before it wrote.
func joins(_ context.Context, dir string, after steps.Dirs) (string, error) {
	var all []byte
	for _, name := range []string{"a", "b"} {
		data, err := os.ReadFile(filepath.Join(after[name], "text"))
		if err != nil {
			return "", err
		}
		all = append(all, data...)
	}
	return "", os.WriteFile(filepath.Join(dir, "text"), all, 0o644)
}

func (w *work) options() steps.Options {
	return steps.Options{
		Places: map[steps.Lane]int{steps.Build: 2}, Now: func() time.Time { return time.Unix(0, 0) },
		Started: func(step string) { w.began = append(w.began, step) }, Finished: func(steps.Outcome) {},
	}
}

// of makes a plan in which the result of c is made of those of a and b, and effect comes before a.
func of(t *testing.T, root, inputOfB string) *work {
	t.Helper()
	plan, err := steps.NewPlan(root,
		steps.Step{Name: "effect", Lane: steps.Fetch, Effect: true, Run: func(_ context.Context, dir string, _ steps.Dirs) (string, error) {
			if dir != "" {
				return "", errors.New("an effect has no directory")
			}
			return "", nil
		}},
		steps.Step{Name: "a", Lane: steps.Build, After: []string{"effect"}, Run: writes("a")},
		steps.Step{Name: "b", Lane: steps.Build, Inputs: []string{inputOfB}, Run: writes(inputOfB)},
		steps.Step{Name: "c", Lane: steps.Build, After: []string{"a", "b"}, Run: joins},
	)
	require.NoError(t, err)
	return &work{plan: plan}
}

func TestRunKeepsResults(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	first := of(t, root, "b")
	out, err := first.plan.Run(t.Context(), first.options(), "c")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"effect", "a", "b", "c"}, first.began)
	require.Equal(t, "c", first.began[3])
	require.Equal(t, []string{"effect", "a", "b", "c"}, names(out))
	require.Equal(t, "wrote a", out[1].Note)
	require.EqualValues(t, 2, out[3].Bytes)
	data, err := os.ReadFile(filepath.Join(first.plan.Dir("c"), "text"))
	require.NoError(t, err)
	require.Equal(t, "ab", string(data))

	again := of(t, root, "b")
	require.Equal(t, []string{"effect"}, again.plan.Missing("c", "effect", "a"))
	out, err = again.plan.Run(t.Context(), again.options(), "c")
	require.NoError(t, err)
	require.Empty(t, again.began)
	require.Equal(t, []steps.Outcome{{Step: "c", State: steps.Kept, Bytes: 2}}, out)

	changed := of(t, root, "B")
	require.Equal(t, []string{"c"}, changed.plan.Missing("a", "c"))
	require.NotEqual(t, first.plan.Digest("c"), changed.plan.Digest("c"), "an input of a step is one of those after it")
	require.Equal(t, first.plan.Digest("a"), changed.plan.Digest("a"))
	out, err = changed.plan.Run(t.Context(), changed.options(), "c")
	require.NoError(t, err)
	require.Equal(t, []string{"b", "c"}, changed.began)
	require.Equal(t, steps.Kept, out[0].State)

	stale, err := changed.plan.Stale()
	require.NoError(t, err)
	require.ElementsMatch(t, []string{first.plan.Dir("b"), first.plan.Dir("c")}, stale)

	fresh := of(t, root, "b")
	o := fresh.options()
	o.Fresh = true
	_, err = fresh.plan.Run(t.Context(), o, "b")
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, fresh.began)
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var interrupted atomic.Bool
	plan, err := steps.NewPlan(t.TempDir(),
		steps.Step{Name: "long", Lane: steps.Fetch, Run: func(ctx context.Context, _ string, _ steps.Dirs) (string, error) {
			<-ctx.Done()
			interrupted.Store(true)
			return "", ctx.Err()
		}},
		steps.Step{Name: "bad", Lane: steps.Build, Run: func(_ context.Context, dir string, _ steps.Dirs) (string, error) {
			return "", errors.Join(os.WriteFile(filepath.Join(dir, "half"), nil, 0o644), broken)
		}},
		steps.Step{Name: "next", Lane: steps.Build, After: []string{"bad"}, Run: writes("never")},
	)
	require.NoError(t, err)
	w := &work{plan: plan}
	out, err := plan.Run(t.Context(), w.options(), "long", "next")
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "bad: ")
	require.True(t, interrupted.Load())
	require.Equal(t, []string{"long", "bad", "next"}, names(out))
	require.Equal(t, []steps.State{steps.Failed, steps.Failed, steps.NotRun}, []steps.State{out[0].State, out[1].State, out[2].State})
	require.NoDirExists(t, plan.Dir("bad"))
	require.NoDirExists(t, plan.Dir("bad")+".partial")
}

func TestLanesAreBounded(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	run := func(_ context.Context, _ string, _ steps.Dirs) (string, error) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		return "", nil
	}
	var all []steps.Step
	for _, name := range []string{"a", "b", "c", "d"} {
		all = append(all, steps.Step{Name: name, Lane: steps.Fetch, Run: run})
	}
	plan, err := steps.NewPlan(t.TempDir(), all...)
	require.NoError(t, err)
	w := &work{plan: plan}
	_, err = plan.Run(t.Context(), w.options(), "a", "b", "c", "d")
	require.NoError(t, err)
	require.EqualValues(t, 1, most.Load(), "a lane has one place where nothing is said")
	require.Equal(t, []string{"a", "b", "c", "d"}, w.began)
}

func TestPlanIsChecked(t *testing.T) {
	t.Parallel()
	_, err := steps.NewPlan("", steps.Step{Name: "a"}, steps.Step{Name: "a"})
	require.ErrorContains(t, err, "two are called a")
	_, err = steps.NewPlan("", steps.Step{Name: "a", After: []string{"b"}}, steps.Step{Name: "b"})
	require.ErrorContains(t, err, "a comes after b")
	plan, err := steps.NewPlan(t.TempDir())
	require.NoError(t, err)
	_, err = plan.Run(t.Context(), steps.Options{}, "a")
	require.ErrorContains(t, err, "no step a")
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, steps.Table(&out, []steps.Outcome{
		{Step: "rootfs", State: steps.Kept, Bytes: 289e6},
		{Step: "kubernetes", State: steps.Done, Took: 196 * time.Second, Bytes: 420e6, Note: "v1.35.4"},
		{Step: "load", State: steps.Failed, Took: time.Second},
		{Step: "chart", State: steps.NotRun},
	}, 200*time.Second))
	require.Equal(t, `STEP        TIME                SIZE      NOTE
rootfs      kept                289.0 MB  
kubernetes  196.0 s             420.0 MB  v1.35.4
load        failed after 1.0 s  -         
chart       not run             -         
all         200.0 s                       sum of the steps 197.0 s
`, out.String())
}

func names(outcomes []steps.Outcome) []string {
	var out []string
	for _, o := range outcomes {
		out = append(out, o.Step)
	}
	return slices.Clip(out)
}
