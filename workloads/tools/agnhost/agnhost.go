// Package agnhost is the image that Kubernetes' own tests use for nearly everything: servers that say who they are, clients
// that say what they reached, and small programs that look at their files, arguments and environment. The subcommands, their
// flags and their output are those of upstream's image of the same name, as far as the tests use them.
package agnhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"

	"github.com/spf13/pflag"

	"github.com/gameday-bench/gameday/workloads/program"
)

// Images returns the image under the tags that Kubernetes 1.35's tests name.
func Images() []program.Image {
	return []program.Image{{
		Repository: "registry.k8s.io/e2e-test-images/agnhost", Tags: []string{"2.55", "2.59"}, Entrypoint: []string{"/agnhost"}, Cmd: []string{"pause"}, Program: Run,
		// A second name for the same program: the tests of command and args look for the name in its output.
		Commands: map[string]program.Func{"/agnhost-2": func(ctx context.Context, sys *program.Sys) error {
			return run(ctx, sys, "/agnhost-2")
		}},
	}}
}

// subcommand is one of agnhost's programs.
type subcommand func(ctx context.Context, a *app, args []string) error

func subcommands() map[string]subcommand {
	return map[string]subcommand{
		"connect":                               connect,
		"crd-conversion-webhook":                conversionWebhook,
		"dns-server-list":                       dnsServerList,
		"dns-suffix":                            dnsSuffix,
		"entrypoint-tester":                     entrypointTester,
		"etc-hosts":                             etcHosts,
		"grpc-health-checking":                  grpcHealth,
		"guestbook":                             guestbook,
		"inclusterclient":                       inClusterClient,
		"liveness":                              liveness,
		"logs-generator":                        logsGenerator,
		"mounttest":                             mountTest,
		"netexec":                               netexec,
		"nettest":                               nettest,
		"pause":                                 pause,
		"porter":                                porter,
		"serve-hostname":                        serveHostname,
		"test-service-account-issuer-discovery": issuerDiscovery,
		"test-webserver":                        testWebserver,
		"webhook":                               webhook,
	}
}

// app is one run of agnhost.
type app struct {
	sys *program.Sys
	// name is what the program was started as.
	name string
	log  *log.Logger
}

// Run is the program: its first argument is the subcommand, pause when there is none.
func Run(ctx context.Context, sys *program.Sys) error { return run(ctx, sys, sys.Image.Entrypoint[0]) }

func run(ctx context.Context, sys *program.Sys, name string) error {
	args := sys.Args
	if len(args) == 0 {
		args = []string{"pause"}
	}
	do, ok := subcommands()[args[0]]
	if !ok {
		return fmt.Errorf("unknown command %q for %q", args[0], "app")
	}
	a := &app{sys: sys, name: name, log: log.New(sys.Stderr, "", log.LstdFlags)}
	return do(ctx, a, args[1:])
}

// parse reads a subcommand's flags. Flags of the logging library, which tests pass to every program, are accepted.
func (a *app) parse(flags *pflag.FlagSet, args []string) error {
	flags.SetOutput(io.Discard)
	flags.IntP("v", "v", 0, "verbosity")
	flags.Bool("alsologtostderr", false, "log to stderr")
	flags.Bool("logtostderr", true, "log to stderr")
	if err := flags.Parse(args); err != nil && !errors.Is(err, pflag.ErrHelp) {
		return fmt.Errorf("parse flags of %s: %w", flags.Name(), err)
	}
	return nil
}

func newFlags(name string) *pflag.FlagSet { return pflag.NewFlagSet(name, pflag.ContinueOnError) }

// pause waits for its end and says why it ended, as the last words of the container.
func pause(ctx context.Context, a *app, _ []string) error {
	fmt.Fprintln(a.sys.Stdout, "Paused")
	fmt.Fprintln(a.sys.Stdout, "Signals registered")
	<-ctx.Done()
	path := a.sys.Getenv("TERMINATION_MESSAGE_PATH")
	if path == "" {
		path = "/dev/termination-log"
	}
	const message = "exiting because of signal \"terminated\"\n"
	// The file is there only when the pod asks for it.
	_ = program.WriteFile(a.sys.Files, path, []byte(message), 0o644)
	fmt.Fprint(a.sys.Stdout, message)
	const codeTerminated = 2
	return &program.ExitError{Code: codeTerminated}
}

// entrypointTester prints the whole argument vector.
func entrypointTester(_ context.Context, a *app, _ []string) error {
	fmt.Fprintf(a.sys.Stdout, "%v\n", append([]string{a.name}, a.sys.Args...))
	return nil
}
