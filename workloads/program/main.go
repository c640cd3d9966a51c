package program

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// The exit codes that the process itself gives, after those of sh and docker run.
const (
	codeUsage    = 125
	codeNotFound = 127
)

// Main is the whole of a program binary's main function; it returns the exit code. args are the arguments after the
// binary's own name:
//
//	--images                                     print the images that the binary offers, as JSON ([]Listing)
//	--container FILE                             be the container process that FILE describes (sandbox.Container)
//	--container FILE --exec -- COMMAND [ARG...]  run a command in that container's context
//	PROGRAM [ARG...]                             run a program on the operating system itself
//
// A container whose command is not its image's entrypoint, and every --exec, is run by shell; with a nil shell they fail
// with 127. SIGTERM and SIGINT end the program's context.
//
// In an image the binary goes by other names, and the name decides: see Identity.
func Main(registry *Registry, shell Shell, args []string) int {
	if err := run(registry, shell, args); err != nil {
		return exitCode(os.Stderr, err)
	}
	return 0
}

func exitCode(stderr io.Writer, err error) int {
	code := 1
	var exit *ExitError
	if errors.As(err, &exit) {
		code = exit.Code
		if exit.Err == nil {
			return code
		}
	}
	fmt.Fprintln(stderr, "error:", err)
	return code
}

func usage(format string, args ...any) error {
	return &ExitError{Code: codeUsage, Err: fmt.Errorf(format, args...)}
}

func run(registry *Registry, shell Shell, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	switch id, in, err := identify(os.Args[0]); {
	case err != nil:
		return usage("%w", err)
	case in:
		return runImage(ctx, registry, shell, id, append([]string{os.Args[0]}, args...))
	}
	if len(args) == 0 {
		return usage("want --images, --container FILE [--exec -- COMMAND], or PROGRAM [ARG...]")
	}
	switch args[0] {
	case "--images":
		return json.NewEncoder(os.Stdout).Encode(registry.Listings())
	case "--container":
		switch {
		case len(args) == 2:
			return runContainer(ctx, registry, shell, args[1], nil)
		case len(args) > 4 && args[2] == "--exec" && args[3] == "--":
			return runContainer(ctx, registry, shell, args[1], args[4:])
		}
		return usage("--container: want FILE [--exec -- COMMAND [ARG...]]")
	}
	im, ok := registry.Lookup(args[0])
	if !ok {
		return &ExitError{Code: codeNotFound, Err: fmt.Errorf("run %q: no such program", args[0])}
	}
	if im.Binary != "" {
		return takeOver(im)
	}
	sys, err := System(im, args[1:])
	if err != nil {
		return fmt.Errorf("read operating system: %w", err)
	}
	return im.Program(ctx, sys)
}

// runContainer runs the container described at path, or command in its context.
func runContainer(ctx context.Context, registry *Registry, shell Shell, path string, command []string) error {
	c, err := sandbox.LoadContainer(path)
	if err != nil {
		return usage("%w", err)
	}
	im, ok := registry.Lookup(c.Program)
	if !ok {
		return usage("start container: no program %q in this binary", c.Program)
	}
	argv := c.Args
	if len(argv) == 0 {
		argv = slices.Concat(im.Entrypoint, im.Cmd)
	}
	program := command == nil && len(im.Entrypoint) > 0 && argv[0] == im.Entrypoint[0]
	if program && im.Binary != "" {
		// Before the sandbox's socket has been touched: the other executable inherits it.
		return takeOver(im)
	}
	tree, err := sandbox.NewTree(c)
	if err != nil {
		return usage("%w", err)
	}
	clk := clock.WithTicker(clock.RealClock{})
	if c.Conditions != "" {
		conditions, err := sandbox.OpenConditions(c.Conditions)
		if err != nil {
			return usage("%w", err)
		}
		tree.Interpose(conditions)
		clk = conditions.Clock()
	}
	if err := tree.Confine(c); err != nil {
		return usage("%w", err)
	}
	hosts := func() (io.ReadCloser, error) { return tree.Open("/etc/hosts") }
	net, err := sandbox.Inherited(&sandbox.Resolver{ResolvConf: c.ResolvConf, Hosts: hosts, Env: c.Env})
	if err != nil {
		return usage("%w", err)
	}
	// Libraries read the process's environment: it has to be the container's, not the node's.
	os.Clearenv()
	for k, v := range c.Env {
		if err := os.Setenv(k, v); err != nil {
			return usage("set environment variable %q: %w", k, err)
		}
	}
	sys := &Sys{
		Net: net, Files: tree, Env: c.Env, Cwd: tree.Abs("."), User: c.User, Hostname: c.Hostname, Variant: c.Variant, Image: im, Main: argv,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Clock: clk,
	}
	if sys.Env == nil {
		sys.Env = map[string]string{}
	}
	if program {
		sys.Args = argv[1:]
		return im.Program(ctx, sys)
	}
	if command != nil {
		argv = command
	}
	sys.Args = argv[1:]
	if shell == nil {
		return &ExitError{Code: codeNotFound, Err: fmt.Errorf("exec: %q: executable file not found in $PATH", argv[0])}
	}
	return shell(ctx, sys, argv)
}

// takeOver replaces this process by the executable that has the image's program, with the same arguments and descriptors.
// It returns only when it failed.
func takeOver(im *Image) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find %s: %w", im.Binary, err)
	}
	path := filepath.Join(filepath.Dir(self), im.Binary)
	if _, err := os.Stat(path); err != nil {
		if path, err = exec.LookPath(im.Binary); err != nil {
			return &ExitError{Code: codeNotFound, Err: fmt.Errorf("find the executable of %s: %w", im.Repository, err)}
		}
	}
	if err := syscall.Exec(path, append([]string{im.Binary}, os.Args[1:]...), os.Environ()); err != nil {
		return fmt.Errorf("start %s: %w", path, err)
	}
	return nil
}
