// Package tools holds the small general images: pause, and busybox with its shell.
package tools

import (
	"context"

	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/shell"
)

// Images returns the images.
func Images() []program.Image {
	return []program.Image{
		{Repository: "registry.local/pause", Tags: []string{"3.10"}, Program: Pause},
		{Repository: "registry.local/library/busybox", Tags: []string{"1.36"}, Entrypoint: []string{"sh"}, Program: sh},
	}
}

// Pause does nothing until it is told to end.
func Pause(ctx context.Context, _ *program.Sys) error {
	<-ctx.Done()
	return nil
}

// sh is the shell as an image's own program.
func sh(ctx context.Context, sys *program.Sys) error {
	return shell.Run(ctx, sys, append([]string{"sh"}, sys.Args...))
}
