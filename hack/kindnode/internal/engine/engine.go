// Package engine speaks to a container engine through its command line: docker, podman or nerdctl.
package engine

import (
	"context"
	"fmt"
	"io"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/command"
)

// Engine is a container engine.
type Engine struct {
	// Program is its command.
	Program string
	// Env is added to the command's environment, for example DOCKER_HOST.
	Env []string
}

func (e Engine) run(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	return command.Run(ctx, command.Cmd{Name: e.Program, Args: args, Env: e.Env, Stdin: stdin})
}

// Check returns an error unless the engine answers, and may be used by this process.
func (e Engine) Check(ctx context.Context) error {
	if _, err := e.run(ctx, nil, "info"); err != nil {
		return fmt.Errorf("reach %s: %w", e.Program, err)
	}
	return nil
}

// Has says whether the engine has an image. The engine has to answer: an error of it is taken for a no.
func (e Engine) Has(ctx context.Context, ref string) bool {
	_, err := e.run(ctx, nil, "image", "inspect", ref)
	return err == nil
}

// Load gives the engine an archive of images, in the format of docker save, that write writes.
func (e Engine) Load(ctx context.Context, write func(io.Writer) error) error {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(write(w)) }()
	// Ends the writer also when the engine ends before it has read everything.
	defer r.Close()
	if _, err := e.run(ctx, r, "load"); err != nil {
		return fmt.Errorf("load image: %w", err)
	}
	return nil
}
