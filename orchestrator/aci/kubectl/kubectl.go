// Package kubectl runs kubectl in process, against one fixed API server, for an agent that is not trusted with the
// machine: it reads no kubeconfig, starts no other program, opens no file outside the trial's workspace, and ends on time. What
// could take this process's memory or time with it, as a template that loops, runs in a child with limits (see ServeChild).
package kubectl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// Timeouts of one command. A command that never ends by itself (-w, logs -f) is stopped after Follow.
const (
	DefaultTimeout = 60 * time.Second
	FollowTimeout  = 5 * time.Second
	MaxTimeout     = 300 * time.Second
)

// grace is how long a command may take to end after its connections were closed.
const grace = 2 * time.Second

// Access hands out access to the API server whose requests and streams all end with ctx or with end.
type Access interface {
	// Scoped returns a configuration that the caller owns.
	Scoped(ctx context.Context) (config *rest.Config, end func())
	// RESTConfig returns access that lasts as long as the trial.
	RESTConfig() *rest.Config
}

// Kubectl runs commands. It is safe for concurrent use.
type Kubectl struct {
	access    Access
	namespace string
	workspace string
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.RESTMapper
	// child is taken while a child runs.
	child chan struct{}
}

// New returns a Kubectl whose commands use access, work in namespace where they name none, and see the files of the
// directory workspace only.
func New(access Access, namespace, workspace string) (*Kubectl, error) {
	workspace, err := realpath(workspace)
	if err != nil {
		return nil, fmt.Errorf("find workspace: %w", err)
	}
	client, err := discovery.NewDiscoveryClientForConfig(access.RESTConfig())
	if err != nil {
		return nil, fmt.Errorf("make discovery client: %w", err)
	}
	cached := memory.NewMemCacheClient(client)
	return &Kubectl{
		access: access, namespace: namespace, workspace: workspace,
		discovery: cached, mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached), child: make(chan struct{}, 1),
	}, nil
}

// Command is one command line.
type Command struct {
	// Line is the command line, with or without the word kubectl, split by shell-word rules.
	Line string
	// Argv is the same already split, without the word kubectl; it wins over Line.
	Argv []string
	// Stdin is what -f - reads; a here-document in Line wins.
	Stdin string
	// Timeout is how long the command may take; 0 means DefaultTimeout, or FollowTimeout for what never ends by itself.
	Timeout time.Duration
}

// Output is what a command printed.
type Output struct {
	// Text is standard output, then standard error.
	Text string
	// Failed is true for an exit code other than 0.
	Failed bool
}

// exit is how a command ends before its end: kubectl's fatal errors are turned into it.
type exit struct {
	message string
	code    int
}

// Run runs a command. It never fails: what goes wrong is the command's output. It returns soon after ctx ends.
func (k *Kubectl) Run(ctx context.Context, c Command) Output {
	argv := c.Argv
	if argv == nil {
		words, doc, hasDoc, err := parseLine(c.Line)
		if err != nil {
			return failure("error: %v", err)
		}
		argv = words
		if hasDoc {
			c.Stdin = doc
		}
	}
	follow := follows(argv)
	timeout := c.Timeout
	switch {
	case timeout <= 0 && follow:
		timeout = FollowTimeout
	case timeout <= 0:
		timeout = DefaultTimeout
	case timeout > MaxTimeout:
		timeout = MaxTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	run, err := k.newRun(limited, argv, c.Stdin)
	if err != nil {
		return failure("error: %v", err)
	}
	done := make(chan bool, 1)
	go func() {
		failed := run.execute()
		run.close() // Before it counts as ended: a child ends with its command.
		done <- failed
	}()
	out, ended := run.wait(limited, done)
	switch {
	case ended && run.costly:
		return k.inChild(ctx, argv, c.Stdin, timeout)
	case ended:
		return out
	case ctx.Err() != nil:
		out.Text, out.Failed = out.Text+"error: the command was cancelled\n", true
	case follow:
		out.Text, out.Failed = out.Text+fmt.Sprintf("[stopped after %s; timeout_seconds sets how long to follow]\n", timeout), false
	default:
		out.Text, out.Failed = out.Text+fmt.Sprintf("error: the command was stopped after %s; timeout_seconds may be up to %d\n",
			timeout, int(MaxTimeout.Seconds())), true
	}
	return out
}

func failure(format string, args ...any) Output {
	return Output{Text: fmt.Sprintf(format, args...) + "\n", Failed: true}
}

// run is one command in the making.
type run struct {
	argv   []string
	root   *cobra.Command
	stdout *buffer
	stderr *buffer
	stdin  string
	end    func()
	prefix string
	// costly is set when execute ended before the command began, because it is one for a child.
	costly bool
}

func (k *Kubectl) newRun(ctx context.Context, argv []string, stdin string) (*run, error) {
	adopt()
	// The connections outlive ctx until the output up to then is safe; see wait.
	config, end := k.access.Scoped(context.WithoutCancel(ctx))
	r := &run{argv: argv, stdout: newBuffer(), stderr: newBuffer(), prefix: k.workspace + string(os.PathSeparator)}
	if stdin != "" {
		// kubectl reads the process's own standard input for -f -, so it is given a file instead.
		f, err := os.CreateTemp(k.workspace, ".stdin-*.yaml")
		if err != nil {
			end()
			return nil, fmt.Errorf("keep standard input: %w", err)
		}
		r.stdin = f.Name()
		_, err = f.WriteString(stdin)
		if err = errors.Join(err, f.Close()); err != nil {
			end()
			return nil, fmt.Errorf("keep standard input: %w", err)
		}
	}
	r.end = end
	config.WarningHandler = rest.NewWarningWriter(r.stderr, rest.WarningWriterOptions{Deduplicate: true})
	r.root = k.tree(config, r, strings.NewReader(stdin))
	r.root.SetArgs(argv)
	return r, nil
}

// execute runs the command and says whether it failed.
func (r *run) execute() (failed bool) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case exit:
			failed = p.code != 0
			if p.message != "" {
				r.stderr.writeLine(p.message)
			}
		default:
			failed = true
			r.stderr.writeLine(fmt.Sprintf("error: kubectl crashed: %v", p))
			slog.Debug("kubectl crashed", "argv", r.argv, "panic", p)
		}
	}()
	if err := r.root.Execute(); errors.Is(err, errCostly) {
		r.costly = true
	} else if err != nil {
		r.stderr.writeLine("error: " + strings.TrimPrefix(err.Error(), "error: "))
		return true
	}
	return false
}

// wait waits for the command's end. A command that outlives ctx loses its connections; its output is what it had printed
// until then, without its complaints about that.
func (r *run) wait(ctx context.Context, done <-chan bool) (out Output, ended bool) {
	select {
	case failed := <-done:
		return Output{r.text(), failed}, true
	case <-ctx.Done():
	}
	out = Output{Text: r.text()}
	r.stdout.end()
	r.stderr.end()
	r.end()
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
	return out, false
}

func (r *run) close() {
	r.end()
	if r.stdin != "" {
		_ = os.Remove(r.stdin)
	}
}

// text is the whole output. The workspace's place on this machine is nobody's business.
func (r *run) text() string {
	out := r.stdout.String()
	if errs := r.stderr.String(); errs != "" {
		if out != "" && !strings.HasSuffix(out, "\n") {
			out += "\n"
		}
		out += errs
	}
	if r.stdin != "" {
		out = strings.ReplaceAll(out, r.stdin, "STDIN")
	}
	return strings.ReplaceAll(out, r.prefix, "")
}

// follows is true for a command that does not end by itself.
func follows(argv []string) bool {
	if len(argv) == 0 {
		return false
	}
	logs := argv[0] == "logs"
	for _, arg := range argv {
		switch arg {
		case "--":
			return false
		case "-w", "--watch", "--watch=true", "--watch-only", "--watch-only=true":
			return argv[0] != "rollout"
		case "-f", "--follow", "--follow=true":
			if logs {
				return true
			}
		}
	}
	return false
}
