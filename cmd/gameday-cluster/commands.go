package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gameday-bench/gameday/internal/kubeversion"
	"github.com/gameday-bench/gameday/internal/oslimit"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/node"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a mistake of whoever called.
type usageError struct{ error }

// run is the whole process but for its exit. A failure is told to the parent as one line of JSON on stdout and to
// people on stderr.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := kubeversion.Set(); err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return exitFailed
	}
	flush, err := profile()
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		return exitFailed
	}
	defer flush()
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err = root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var exit exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	err = oslimit.Explain(err)
	fmt.Fprintln(stderr, "error:", err)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(stderr, "hint: gameday starts this program; see gameday-cluster --help")
		return exitUsage
	}
	line, merr := json.Marshal(map[string]string{"event": "failed", "error": err.Error()})
	if merr == nil {
		fmt.Fprintf(stdout, "%s\n", line)
	}
	return exitFailed
}

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "gameday-cluster",
		Short:         "One process of an embedded cluster; started by gameday",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("which process? control-plane or node")}
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newControlPlane(stdout, stderr), newNode(stdout, stderr), newStress(stderr))
	return root
}

// common are the flags that both processes have.
type common struct {
	spec  string
	level string
}

func (c *common) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.spec, "spec", "", "path of the cluster's cluster.json (required)")
	cmd.Flags().StringVar(&c.level, "log-level", "info", "debug, info, warn or error; debug includes what Kubernetes logs")
}

// load reads the spec and builds the logger.
func (c *common) load(stderr io.Writer) (*spec.Cluster, *slog.Logger, error) {
	if c.spec == "" {
		return nil, nil, usageError{errors.New("--spec is required")}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.level)); err != nil {
		return nil, nil, usageError{fmt.Errorf("--log-level: %w", err)}
	}
	cluster, err := spec.Load(c.spec)
	if err != nil {
		return nil, nil, err
	}
	return cluster, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})), nil
}

func newControlPlane(stdout, stderr io.Writer) *cobra.Command {
	var c common
	cmd := &cobra.Command{
		Use:   "control-plane",
		Short: "Run etcd, the API server, the controllers, the scheduler and Chaos Mesh",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cluster, log, err := c.load(stderr)
			if err != nil {
				return err
			}
			return controlplane.Run(cmd.Context(), cluster, stdout, log)
		},
	}
	c.register(cmd)
	return cmd
}

func newNode(stdout, stderr io.Writer) *cobra.Command {
	var (
		c    common
		name string
	)
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run one node: kubelet, container runtime, network and chaos daemon",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" {
				return usageError{errors.New("--name is required")}
			}
			cluster, log, err := c.load(stderr)
			if err != nil {
				return err
			}
			if _, err := cluster.Node(name); err != nil {
				return usageError{err}
			}
			return node.Run(cmd.Context(), cluster, name, stdout, log)
		},
	}
	c.register(cmd)
	cmd.Flags().StringVar(&name, "name", "", "name of the node in the spec (required)")
	return cmd
}

func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}
