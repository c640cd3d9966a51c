package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/cmd/internal/cli"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/existing"
	"github.com/gameday-bench/gameday/orchestrator/cluster/kind"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
	"github.com/gameday-bench/gameday/results"
)

// process is one run of the command line.
type process struct {
	cli.State
	out, err *bytes.Buffer
}

func newProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{out: &bytes.Buffer{}, err: &bytes.Buffer{}}
	p.State = cli.State{
		Args: args, LookupEnv: func(string) (string, bool) { return "", false }, Stdin: strings.NewReader(""),
		Stdout: p.out, Stderr: p.err, Width: 100, Cwd: t.TempDir(), Executable: "/bin/gameday",
		Exit: func(int) { t.Error("the process was ended at once") },
		Backend: cli.Backend{
			Run: func(context.Context, *orchestrator.Runner, orchestrator.RunConfig) (*results.Summary, error) {
				t.Error("a run was started")
				return nil, nil
			},
			Doctor: func(context.Context, doctor.Options) []doctor.Check { return nil },
		},
	}
	return p
}

func (p *process) main() int { return cli.Main(p.State) }

// store plays a run: it writes real records, so that all that reads them can be tested on it.
func store(t *testing.T, statuses ...results.Status) func(context.Context, *orchestrator.Runner, orchestrator.RunConfig) (*results.Summary, error) {
	t.Helper()
	return func(_ context.Context, r *orchestrator.Runner, c orchestrator.RunConfig) (*results.Summary, error) {
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		s, err := results.Create(c.OutDir, results.Run{
			ID: "20260102T030405Z-x-1a2b3c", Scenario: c.Scenario, Problems: c.Problems, Agents: c.Agents, Planned: len(statuses), StartedAt: at, Argv: c.Argv,
		})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		r.Observer.Event(orchestrator.Event{Time: at, Type: orchestrator.RunStarted, Message: s.Dir(), Fields: map[string]any{"trials": len(statuses)}})
		for i, status := range statuses {
			trial, err := s.OpenTrial(results.Key{Problem: c.Problems[0], Agent: c.Agents[0], Attempt: i + 1})
			require.NoError(t, err)
			record := results.TrialRecord{Status: status, Tasks: []string{"detection", "mitigation"}, StartedAt: at, FinishedAt: at.Add(9 * time.Second), Phases: map[string]float64{"act": 3}}
			if status.Scored() {
				record.Scores = []results.Score{{Task: "detection", Value: 1, Reason: "found"}, {Task: "mitigation", Value: 0.5, Reason: "half", Metrics: map[string]float64{"ttm": 7}}}
			} else {
				record.Error = &results.Failure{Party: "infra", Message: "no node", Phase: "provision"}
			}
			require.NoError(t, trial.Finish(record))
			r.Observer.Event(orchestrator.Event{Time: at, Type: orchestrator.TrialFinished, Trial: record.Key.String(), Message: string(status)})
		}
		return s.Finish(at.Add(time.Minute), nil)
	}
}

func TestRunExitCodes(t *testing.T) {
	t.Parallel()
	g, infra := results.Graded, results.InfraError
	for name, tc := range map[string]struct {
		args     []string
		statuses []results.Status
		want     int
		stderr   string
	}{
		"a poor score is no error":   {nil, []results.Status{g}, 0, ""},
		"gate met":                   {[]string{"--fail-under", "0.7"}, []results.Status{g}, 0, ""},
		"gate not met":               {[]string{"--fail-under", "0.8"}, []results.Status{g}, 4, "agent nop scored 0.75, less than --fail-under 0.8"},
		"no grade":                   {nil, []results.Status{g, infra}, 5, "1 of 2 trials have no grade: 1 graded, 1 infra_error"},
		"tolerated by number":        {[]string{"--max-infra-errors", "1"}, []results.Status{g, infra}, 0, ""},
		"tolerated by share":         {[]string{"--max-infra-errors", "50%"}, []results.Status{g, infra}, 0, ""},
		"more than the share":        {[]string{"--max-infra-errors", "49%"}, []results.Status{g, infra}, 5, "have no grade"},
		"an agent's failure is none": {nil, []results.Status{g, results.AgentTimeout}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, append([]string{"run", "hotel-scaled-to-zero", "--agent", "nop"}, tc.args...)...)
			p.Backend.Run = store(t, tc.statuses...)
			require.Equal(t, tc.want, p.main(), p.err.String())
			require.Contains(t, p.err.String(), tc.stderr)
			lines := strings.Split(strings.TrimSpace(p.out.String()), "\n")
			require.Equal(t, "AGENT\tSCORE\tDETECTION\tTWINS\tBALANCED\tLOCALIZATION\tDIAGNOSIS\tMITIGATION\tSCORED", lines[0])
			require.Equal(t, filepath.Join(p.Cwd, "results", "runs", "20260102T030405Z-x-1a2b3c"), lines[len(lines)-1])
		})
	}
}

func TestRunConfigComesFromScenarioAndFlags(t *testing.T) {
	t.Parallel()
	var got orchestrator.RunConfig
	capture := func(_ context.Context, _ *orchestrator.Runner, c orchestrator.RunConfig) (*results.Summary, error) {
		got = c
		return &results.Summary{}, nil
	}
	p := newProcess(t, "run", "smoke", "--agent", "nop", "--agent", "oracle")
	p.Backend.Run = capture
	require.Zero(t, p.main(), p.err.String())
	require.Equal(t, "smoke", got.Scenario)
	require.Len(t, got.Problems, 6)
	require.True(t, got.Twins)
	require.Equal(t, []string{"nop", "oracle"}, got.Agents)
	require.Equal(t, []int64{0}, got.Seeds)
	require.Equal(t, []string{"gameday", "run", "smoke", "--agent", "nop", "--agent", "oracle"}, got.Argv)
	require.True(t, json.Valid(got.Config))

	p = newProcess(t, "run", "smoke", "-a", "nop", "-k", "5", "-j", "2", "--seed", "7", "--seed", "8", "--twins=false", "--run-id", "x", "--timeout-multiplier", "2", "--infra-retries", "0")
	p.Backend.Run = capture
	require.Zero(t, p.main(), p.err.String())
	require.Equal(t, 5, got.Attempts)
	require.Equal(t, 2, got.Concurrency)
	require.Equal(t, []int64{7, 8}, got.Seeds)
	require.False(t, got.Twins)
	require.Equal(t, "x", got.RunID)
	require.InDelta(t, 2.0, got.TimeoutMultiplier, 0)
	require.Zero(t, got.InfraRetries)
}

func TestFailedRunIsReported(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "run", "smoke", "--agent", "nop", "-o", "json")
	p.Backend.Run = func(context.Context, *orchestrator.Runner, orchestrator.RunConfig) (*results.Summary, error) {
		return nil, errs.Hint(errs.Newf(errs.Infra, "write run directory: no space left"), "free some space")
	}
	require.Equal(t, 6, p.main())
	require.Contains(t, p.err.String(), "error: write run directory: no space left\nhint: free some space\n")
	var report struct {
		Error struct {
			Kind, Message, Hint string
			ExitCode            int
		}
	}
	require.NoError(t, json.Unmarshal(p.err.Bytes()[strings.Index(p.err.String(), "{"):], &report))
	require.Equal(t, "infra", report.Error.Kind)
	require.Equal(t, 6, report.Error.ExitCode)
	require.Empty(t, p.out.String())
}

func TestSignals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		signal os.Signal
		want   int
	}{{os.Interrupt, 130}, {syscall.SIGTERM, 143}} {
		signals := make(chan os.Signal, 2)
		p := newProcess(t, "run", "smoke", "--agent", "nop")
		p.Signals = signals
		p.Backend.Run = func(ctx context.Context, _ *orchestrator.Runner, _ orchestrator.RunConfig) (*results.Summary, error) {
			signals <- tc.signal
			<-ctx.Done()
			return &results.Summary{Dir: "partial"}, errs.With(errs.Interrupted, errors.New("run trials: context canceled"))
		}
		require.Equal(t, tc.want, p.main())
		require.Contains(t, p.out.String(), "partial", "what there is is printed")
		require.Contains(t, p.err.String(), "stopping in order")
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 2)
	exited := make(chan int, 1)
	p := newProcess(t, "run", "smoke", "--agent", "nop")
	p.Signals = signals
	p.Stderr = io.Discard
	var once sync.Once
	p.Exit = func(code int) { once.Do(func() { exited <- code }) }
	p.Backend.Run = func(context.Context, *orchestrator.Runner, orchestrator.RunConfig) (*results.Summary, error) {
		signals <- os.Interrupt
		signals <- os.Interrupt
		code := <-exited // A run that does not care about its context.
		exited <- code
		return nil, errs.Newf(errs.Interrupted, "stopped")
	}
	p.main()
	require.Equal(t, 130, <-exited)
}

func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "run", "smoke", "--agent", "nop")
	p.Backend.Run = func(context.Context, *orchestrator.Runner, orchestrator.RunConfig) (*results.Summary, error) {
		panic("boom")
	}
	require.Equal(t, 1, p.main())
	require.Contains(t, p.err.String(), "error: panic: boom")
}

func TestRunsCanBeReadBack(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "run", "hotel-scaled-to-zero", "--agent", "nop", "--progress", "plain")
	p.Backend.Run = store(t, results.Graded, results.InfraError)
	require.Equal(t, 5, p.main())
	require.Contains(t, p.err.String(), "run of 2 trials in ")
	read := func(args ...string) string {
		next := newProcess(t, args...)
		next.Cwd = p.Cwd
		require.Zero(t, next.main(), next.err.String())
		return next.out.String()
	}
	require.Contains(t, read("get", "runs"), "20260102T030405Z-x-1a2b3c\tfinished\thotel-scaled-to-zero\tnop\t1/2\t2026-01-02T03:04:05Z\n")
	require.Equal(t, "TRIAL\tSTATUS\tDETECTION\tLOCALIZATION\tDIAGNOSIS\tMITIGATION\tSTEPS\tSECONDS\n"+
		"hotel-scaled-to-zero/nop/1\tgraded\t1\t-\t-\t0.5\t0\t9.0\nhotel-scaled-to-zero/nop/2\tinfra_error\t-\t-\t-\t-\t0\t9.0\n", read("get", "trials"))
	require.Contains(t, read("get", "trials", "20260102T030405Z-x-1a2b3c", "-l", "status=infra_error", "-o", "wide"), "no node")
	require.Contains(t, read("describe", "run", "20260102T030405Z-x-1a2b3c"), "2 planned, 2 finished, 1 scored")
	require.Contains(t, read("describe", "run", filepath.Join("results", "runs", "20260102T030405Z-x-1a2b3c"), "-o", "json"), `"coverage": 0.5`)
	trial := read("describe", "trial", "hotel-scaled-to-zero/nop/1")
	require.Contains(t, trial, "mitigation 0.5: half")
	require.Contains(t, trial, "ttm 7")
	require.Contains(t, read("describe", "trial", "hotel-scaled-to-zero/nop/2"), "no node (infra, in provision)")
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "doctor", "-j", "3")
	var got doctor.Options
	p.Backend.Doctor = func(_ context.Context, o doctor.Options) []doctor.Check {
		got = o
		return []doctor.Check{
			{Name: "memory", Required: true, Detail: "1 MiB", Hint: "buy some"}, {Name: "pidfd", Detail: "no", Hint: "never mind"}, {Name: "kernel", OK: true, Detail: "linux"},
		}
	}
	require.Equal(t, 6, p.main())
	require.Equal(t, 3, got.Concurrency)
	require.Equal(t, "CHECK\tRESULT\tDETAIL\nmemory\tFAILED\t1 MiB\npidfd\tnote\tno\nkernel\tok\tlinux\n", p.out.String())
	require.Contains(t, p.err.String(), "memory: buy some\npidfd: never mind\nerror: 1 check failed\n")
}

func TestNothingIsStartedOnAMachineThatIsNotReady(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"run", "smoke", "--agent", "nop"}, {"check", "problem", "hotel-scaled-to-zero"}, {"create", "cluster"}} {
		p := newProcess(t, args...) // Its backend fails the test when something is started.
		p.Backend.Doctor = func(context.Context, doctor.Options) []doctor.Check {
			return []doctor.Check{{Name: "run directory", Required: true, Detail: "disk full", Hint: "free some space"}}
		}
		require.Equal(t, 6, p.main(), args)
		require.Contains(t, p.err.String(), "error: this machine is not ready: run directory: disk full\nhint: run directory: free some space;")
		require.Empty(t, p.out.String())
	}
}

func TestClusters(t *testing.T) {
	t.Parallel()
	clusters := map[string]record.Info{
		"kept": {Name: "kept", Status: "running", Supervised: true}, "run": {Name: "run", Status: "running"}, "old": {Name: "old", Status: "stale"},
	}
	var argv []string
	backend := cli.Clusters{
		List: func() ([]record.Info, error) {
			return []record.Info{clusters["kept"], clusters["old"], clusters["run"]}, nil
		},
		Create: func(_ context.Context, want cluster.Spec, line []string) (record.Info, error) {
			argv = line
			return record.Info{Name: want.Name, Status: "running", Kubeconfig: "/rt/" + want.Name}, nil
		},
	}
	var deleted []string
	backend.Delete = func(_ context.Context, info record.Info) error {
		if info.Name == "old" {
			return errs.Newf(errs.Infra, "remove cluster old: busy")
		}
		deleted = append(deleted, info.Name)
		return nil
	}
	play := func(want int, args ...string) *process {
		p := newProcess(t, args...)
		p.Backend.Clusters = backend
		require.Equal(t, want, p.main(), p.err.String())
		return p
	}
	require.Equal(t, "/rt/demo\n", play(0, "create", "cluster", "demo", "--nodes", "5").out.String())
	require.Equal(t, []string{"/bin/gameday", "supervise", "demo", "--nodes", "5", "--fidelity", "fast"}, argv)
	dir := t.TempDir()
	nodes, settings := filepath.Join(dir, "nodes.yaml"), filepath.Join(dir, "settings.yaml")
	require.NoError(t, os.WriteFile(nodes, []byte("apiVersion: gameday.dev/v1\nkind: Cluster\nnodes: [{count: 2}]\n"), 0o600))
	require.NoError(t, os.WriteFile(settings, []byte("output: json\n"), 0o600))
	require.Contains(t, play(0, "create", "cluster", "demo", "-f", nodes, "--config", settings).out.String(), `"kubeconfig": "/rt/demo"`)
	require.Equal(t, []string{"/bin/gameday", "supervise", "demo", "--file", nodes, "--fidelity", "fast"}, argv)
	play(2, "create", "cluster", "Not_A_Name")
	play(2, "create", "cluster", "demo", "--nodes", "0")
	require.Contains(t, play(0, "delete", "cluster", "nothing").err.String(), `cluster "nothing" does not exist`)
	play(2, "delete", "cluster", "../x")
	play(2, "delete", "cluster", "kept", "--all")
	p := play(6, "delete", "cluster", "--all")
	require.Equal(t, []string{"kept"}, deleted, "the cluster of a run is left alone, and one failure does not stop the others")
	require.Contains(t, p.err.String(), "error: remove cluster old: busy")
	require.Contains(t, play(0, "describe", "cluster", "kept").out.String(), "Status:  running")
}

func TestKindClusters(t *testing.T) {
	t.Parallel()
	var deleted []string
	silent := error(nil)
	backend := cli.Clusters{
		List: func() ([]record.Info, error) {
			return []record.Info{
				{Name: "demo", Kind: "kind", Engine: "docker", Status: record.Running, Supervised: true}, {Name: "kept", Kind: "embedded", Status: record.Running, Supervised: true},
			}, nil
		},
		Left: func(context.Context) ([]record.Info, error) {
			return []record.Info{{Name: "k-1", Kind: "kind", Engine: "docker", Status: record.Stale}}, silent
		},
		Others: func(context.Context) []string { return []string{"gameday-0-other"} },
		Delete: func(_ context.Context, info record.Info) error {
			deleted = append(deleted, info.Kind+" "+info.Name)
			return nil
		},
		Prune: func(context.Context) error { deleted = append(deleted, "networks"); return nil },
	}
	play := func(want int, args ...string) *process {
		p := newProcess(t, args...)
		p.Backend.Clusters = backend
		require.Equal(t, want, p.main(), p.err.String())
		return p
	}
	require.Equal(t, "NAME\tKIND\tSTATUS\tCREATED\tKUBECONFIG\ndemo\tkind\trunning\t\t\nk-1\tkind\tstale\t\t\nkept\tembedded\trunning\t\t\n", play(0, "get", "clusters").out.String())
	require.Equal(t, "kept\n", play(0, "get", "clusters", "--cluster", "embedded", "-o", "name").out.String())
	require.Contains(t, play(0, "describe", "cluster", "demo").out.String(), "Engine:  docker")
	play(2, "get", "clusters", "--cluster", "existing")

	p := play(0, "delete", "cluster", "--all", "--cluster", "kind")
	require.Equal(t, []string{"kind demo", "kind k-1", "networks"}, deleted)
	require.Contains(t, p.err.String(), "left alone: gameday-0-other")
	play(0, "delete", "cluster", "kept")
	require.Equal(t, "embedded kept", deleted[len(deleted)-1])

	backend.CleanUp = func(_ context.Context, p *existing.Provider) ([]string, error) {
		return []string{"namespace hotel of " + p.Context}, nil
	}
	require.Contains(t, play(0, "delete", "cluster", "--cluster", "existing", "--context", "staging").err.String(), "found on context staging: namespace hotel of staging")
	play(2, "delete", "cluster", "--cluster", "existing", "--context", "staging", "--all")
	play(2, "delete", "cluster", "--cluster", "existing")
	play(2, "delete", "cluster", "demo", "--context", "staging")

	silent = errs.Newf(errs.Infra, "docker does not answer")
	require.Contains(t, play(0, "get", "clusters").err.String(), "were not looked at: docker does not answer")
	require.Contains(t, play(6, "delete", "cluster", "--all").err.String(), "error: docker does not answer", "there may be more containers")
	play(0, "delete", "cluster", "--all", "--cluster", "embedded")
}

func TestKindClusterIsCreated(t *testing.T) {
	t.Parallel()
	var argv []string
	var want cluster.Spec
	checked := false
	play := func(code int, args ...string) *process {
		p := newProcess(t, append([]string{"create", "cluster", "demo"}, args...)...)
		p.Cwd = "/home"
		p.Backend.Doctor = func(_ context.Context, o doctor.Options) []doctor.Check {
			checked = o.Cluster != nil && o.Flags == "--cluster kind"
			return nil
		}
		p.Backend.Clusters.Create = func(_ context.Context, w cluster.Spec, line []string) (record.Info, error) {
			want, argv = w, line
			return record.Info{Name: w.Name, Kubeconfig: "/rt/demo"}, nil
		}
		require.Equal(t, code, p.main(), p.err.String())
		return p
	}
	play(0, "--cluster", "kind", "--engine", "podman", "--node-image", "mine:1", "--chaos-mesh-images", "registry.example/mirror", "--nodes", "2")
	require.True(t, checked, "the engine is looked at, not this machine")
	require.Equal(t, 2, want.Nodes)
	require.Equal(t, []string{
		"/bin/gameday", "supervise", "demo", "--nodes", "2", "--fidelity", "fast", "--cluster", "kind", "--engine", "podman", "--node-image", "mine:1",
		"--chaos-mesh-images", "registry.example/mirror",
	}, argv)
	config := filepath.Join(t.TempDir(), "kind.yaml")
	require.NoError(t, os.WriteFile(config, []byte("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"), 0o600))
	play(0, "--cluster", "kind", "--kind-config", config)
	require.Zero(t, want.Nodes)
	require.Equal(t, []string{"/bin/gameday", "supervise", "demo", "--fidelity", "fast", "--cluster", "kind", "--kind-config", config}, argv)

	require.Contains(t, play(2, "--cluster", "kind", "--kind-config", config, "--nodes", "2").err.String(), "give --kind-config, or --nodes or --file, not both")
	require.Contains(t, play(2, "--cluster", "existing").err.String(), "a cluster that is there is not created")
	require.Contains(t, play(2, "--engine", "docker").err.String(), "--engine goes with --cluster kind, not with --cluster embedded")
	require.Contains(t, play(2, "--cluster", "kind", "--engine", "dokcer").err.String(), `did you mean "docker"?`)
}

func TestFlagsOfKindsOfClusters(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"kind's on embedded":     {[]string{"--node-image", "x"}, "--node-image goes with --cluster kind, not with --cluster embedded"},
		"existing's on kind":     {[]string{"--cluster", "kind", "--registry", "x"}, "--registry goes with --cluster existing, not with --cluster kind"},
		"kind's on existing":     {[]string{"--cluster", "existing", "--context", "c", "--fresh"}, "--fresh goes with --cluster kind, not with --cluster existing"},
		"Chaos Mesh on embedded": {[]string{"--chaos-mesh-chart", "x"}, "--chaos-mesh-chart goes with --cluster kind or existing, not with --cluster embedded"},
		"no context":             {[]string{"--cluster", "existing"}, "--cluster existing needs --context"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProcess(t, append([]string{"run", "smoke", "--agent", "nop"}, tc.args...)...) // Its backend fails the test when something is started.
			require.Equal(t, 2, p.main())
			require.Contains(t, p.err.String(), tc.want)
		})
	}
}

func TestResumeKnowsTheFlagsOfTheRun(t *testing.T) {
	t.Parallel()
	p := newProcess(t, "run", "hotel-scaled-to-zero", "--agent", "nop", "-k", "2", "--cluster", "kind", "--node-image", "mine:1", "--fresh", "--run-id", "mine")
	p.Backend.Run = func(ctx context.Context, r *orchestrator.Runner, c orchestrator.RunConfig) (*results.Summary, error) {
		require.Equal(t, "kind", c.Cluster)
		r.Providers = map[string]cluster.Provider{"kind": provider(func(context.Context) (cluster.Cluster, error) { return nil, errs.Newf(errs.Infra, "no room") })}
		return r.Run(ctx, c)
	}
	require.Equal(t, 5, p.main(), p.err.String())
	next := newProcess(t, "resume", "mine", "--retry", "infra_error", "--node-image", "other:2")
	next.Cwd = p.Cwd
	next.Backend.Doctor = func(_ context.Context, o doctor.Options) []doctor.Check {
		require.Equal(t, "--cluster kind", o.Flags)
		return nil
	}
	next.Backend.Resume = func(_ context.Context, r *orchestrator.Runner, _ orchestrator.ResumeConfig) (*results.Summary, error) {
		made, ok := r.Providers["kind"].(*kind.Provider)
		require.True(t, ok, "--fresh is recalled: clusters are not used again")
		require.Equal(t, "other:2", made.NodeImage)
		return &results.Summary{}, nil
	}
	require.Zero(t, next.main(), next.err.String())
}
