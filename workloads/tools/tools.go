// Package tools holds the small general images: pause, busybox with its shell, and those that Kubernetes' own tests use.
package tools

import (
	"context"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/shell"
)

// Images returns the images.
func Images() []program.Image {
	return append([]program.Image{
		{Repository: "registry.local/pause", Tags: []string{"3.10"}, User: 65535, Program: Pause},
		{Repository: "registry.local/library/busybox", Tags: []string{"1.36"}, Cmd: []string{"sh"}, Program: sh},
	}, upstream()...)
}

// Pause does nothing until it is told to end.
func Pause(ctx context.Context, _ *program.Sys) error {
	<-ctx.Done()
	return nil
}

// sh is an image that has a shell and its tools: its arguments are a command line, and without any it is the shell.
func sh(ctx context.Context, sys *program.Sys) error {
	argv := sys.Args
	if len(argv) == 0 {
		argv = sys.Image.Cmd
	}
	return shell.Run(ctx, sys, argv)
}
