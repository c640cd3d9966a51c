package aci

import (
	"context"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/orchestrator/aci/kubectl"
)

// maxWait is the longest wait in seconds.
const maxWait = 120.0

func (s *Session) runKubectl(ctx context.Context, a kubectlArgs) output {
	out := s.kubectl.Run(ctx, kubectl.Command{Line: a.Command, Stdin: a.Stdin, Timeout: time.Duration(a.Timeout) * time.Second})
	return output{text: out.Text, isError: out.Failed}
}

func (s *Session) kubectlArgv(ctx context.Context, argv ...string) output {
	out := s.kubectl.Run(ctx, kubectl.Command{Argv: argv})
	return output{text: out.Text, isError: out.Failed}
}

func (s *Session) getLogs(ctx context.Context, a logsArgs) output {
	if strings.HasPrefix(a.Target, "-") || a.Target == "" {
		return failed("malformed_args: target: %q is no pod, TYPE/NAME or label selector", a.Target)
	}
	argv := []string{"logs", "--prefix", "--ignore-errors", "--max-log-requests=50"}
	if strings.Contains(a.Target, "=") {
		argv = append(argv, "--selector="+a.Target)
	} else {
		argv = append(argv, a.Target)
		if strings.Contains(a.Target, "/") && !strings.HasPrefix(a.Target, "pod") {
			argv = append(argv, "--all-pods")
		}
	}
	if a.Namespace != "" {
		argv = append(argv, "--namespace="+a.Namespace)
	}
	if a.Container != "" {
		argv = append(argv, "--container="+a.Container)
	} else {
		argv = append(argv, "--all-containers")
	}
	if a.Previous {
		argv = append(argv, "--previous")
	}
	if a.Since > 0 {
		argv = append(argv, "--since="+(time.Duration(a.Since)*time.Second).String())
	}
	tail := a.Tail
	if tail <= 0 {
		tail = 100
	}
	// A filter looks at more than it shows.
	if a.Contains == "" {
		argv = append(argv, "--tail="+itoa(tail))
	} else {
		argv = append(argv, "--tail=5000")
	}
	out := s.kubectlArgv(ctx, argv...)
	if out.isError {
		return out
	}
	if a.Contains != "" {
		out.text = grep(out.text, a.Contains, tail)
	}
	if strings.TrimSpace(out.text) == "" {
		out.text = "(no lines)\n"
	}
	return out
}

// grep keeps the last n lines that contain needle, whatever their case.
func grep(s, needle string, n int) string {
	needle = strings.ToLower(needle)
	var kept []string
	for line := range strings.Lines(s) {
		if strings.Contains(strings.ToLower(line), needle) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept[max(0, len(kept)-n):], "")
}

func (s *Session) getEvents(ctx context.Context, a eventsArgs) output {
	argv := []string{"events"}
	switch a.Namespace {
	case "":
	case "*":
		argv = append(argv, "--all-namespaces")
	default:
		argv = append(argv, "--namespace="+a.Namespace)
	}
	if a.For != "" {
		argv = append(argv, "--for="+a.For)
	}
	if a.Type != "" {
		argv = append(argv, "--types="+a.Type)
	}
	return s.kubectlArgv(ctx, argv...)
}

func (s *Session) wait(ctx context.Context, a waitArgs) output {
	if a.Seconds < 0 || a.Seconds > maxWait {
		return failed("malformed_args: seconds: want 0 to %g, got %g", maxWait, a.Seconds)
	}
	timer := s.config.Clock.NewTimer(time.Duration(a.Seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C():
		return text("waited " + (time.Duration(a.Seconds * float64(time.Second))).String())
	case <-ctx.Done():
		return failed("the wait was cut short")
	}
}
