package cli_test

import (
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

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/orchestrator/doctor"
	"github.com/gameday-bench/gameday/results"
)

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
