// Package wardle is the sample API server in a container of the embedded cluster: k8s.io/sample-apiserver, which serves
// wardle.example.com, with the pod's network and the container's files in the place of the operating system's.
package wardle

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/sample-apiserver/pkg/cmd/server"

	"github.com/gameday-bench/gameday/workloads/monitoring/aggregate"
	"github.com/gameday-bench/gameday/workloads/program"
)

// Image returns the sample API server's image under the tag that Kubernetes' tests ask for. The server is the version in go.mod.
func Image() program.Image {
	return program.Image{
		Repository: "registry.k8s.io/e2e-test-images/sample-apiserver", Tags: []string{"1.29.2"}, Program: Run, Ports: []string{"443/tcp"},
	}
}

// Run serves until ctx ends. It is the server's own command, but for what comes after the flags.
func Run(ctx context.Context, sys *program.Sys) error {
	aggregate.LogTo(sys)
	o := server.NewWardleServerOptions(sys.Stdout, sys.Stderr)
	cmd := server.NewCommandStartWardleServer(ctx, o, false)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetOut(sys.Stdout)
	cmd.SetErr(sys.Stderr)
	// Not nil, which would be the arguments of the process.
	cmd.SetArgs(append([]string{}, sys.Args...))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd.Flags()); err != nil {
			return fmt.Errorf("read flags: %w", err)
		}
		if err := o.Complete(); err != nil {
			return fmt.Errorf("complete options: %w", err)
		}
		if err := o.Validate(args); err != nil {
			return fmt.Errorf("validate options: %w", err)
		}
		return serve(ctx, sys, o)
	}
	return cmd.Execute()
}

// serve is what the server's RunWardleServer does.
func serve(ctx context.Context, sys *program.Sys, o *server.WardleServerOptions) error {
	config, err := configure(ctx, sys, o)
	if err != nil {
		return err
	}
	s, err := config.Complete().New()
	if err != nil {
		return fmt.Errorf("make server: %w", err)
	}
	s.GenericAPIServer.AddPostStartHookOrDie("start-sample-server-informers", func(hook genericapiserver.PostStartHookContext) error {
		config.GenericConfig.SharedInformerFactory.Start(hook.Done())
		o.SharedInformerFactory.Start(hook.Done())
		return nil
	})
	if err := s.GenericAPIServer.PrepareRun().RunWithContext(ctx); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
