// Package gomod builds programs from Go modules, in the versions that a go.mod and its go.sum pin.
package gomod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/command"
)

// Module is a directory with a go.mod.
type Module string

// Build says what to build, and how.
type Build struct {
	// Packages are the import paths of commands, of the module or of what it depends on.
	Packages []string
	// Tags and LDFlags are those of go build; -s -w is added.
	Tags, LDFlags string
	// CGO links C code, statically: such a program runs on every image, whatever C library it has.
	CGO bool
}

// Inputs are what decides what is built from the module: its go.mod and go.sum, and the version of Go.
func (m Module) Inputs(ctx context.Context) ([]string, error) {
	version, err := command.Run(ctx, command.Cmd{Dir: string(m), Name: "go", Args: []string{"env", "GOVERSION", "GOARCH"}, Env: environment(false)})
	if err != nil {
		return nil, fmt.Errorf("ask Go for its version: %w", err)
	}
	out := []string{string(version)}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(string(m), name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: run go mod tidy in %s", err, m)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, string(data))
	}
	return out, nil
}

// Inputs are the build's own.
func (b Build) Inputs() []string {
	return []string{strings.Join(b.Packages, " "), b.Tags, b.LDFlags, fmt.Sprint("cgo ", b.CGO)}
}

// Version returns the version of a module that m requires, as go.mod has it, with its v.
func (m Module) Version(ctx context.Context, path string) (string, error) {
	out, err := command.Run(ctx, command.Cmd{Dir: string(m), Name: "go", Args: []string{"mod", "edit", "-json"}, Env: environment(false)})
	if err != nil {
		return "", fmt.Errorf("read go.mod: %w", err)
	}
	var mod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return "", fmt.Errorf("decode go.mod of %s: %w", m, err)
	}
	for _, r := range mod.Require {
		if r.Path == path {
			return r.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", filepath.Join(string(m), "go.mod"), path)
}

// Download puts everything that m requires into the module cache, checked against its go.sum.
func (m Module) Download(ctx context.Context) error {
	if _, err := command.Run(ctx, command.Cmd{Dir: string(m), Name: "go", Args: []string{"mod", "download"}, Env: environment(false)}); err != nil {
		return fmt.Errorf("download modules: %w", err)
	}
	return nil
}

// Source returns the read-only directory with the files of a module that m requires, which it downloads where it has to.
func (m Module) Source(ctx context.Context, path string) (string, error) {
	out, err := command.Run(ctx, command.Cmd{
		Dir: string(m), Name: "go", Args: []string{"mod", "download", "-json", path}, Env: environment(false),
	})
	if err != nil {
		return "", fmt.Errorf("download %s: %w", path, err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("decode what go mod download said of %s: %w", path, err)
	}
	if module.Dir == "" {
		return "", fmt.Errorf("download %s: no directory", path)
	}
	return module.Dir, nil
}

// Build builds b into dir, each program under the last element of its package's path.
func (m Module) Build(ctx context.Context, dir string, b Build) error {
	flags := "-s -w " + b.LDFlags
	if b.CGO {
		flags += " -linkmode external -extldflags -static"
	}
	args := append([]string{"build", "-tags", b.Tags, "-ldflags", flags, "-o", dir + string(filepath.Separator)}, b.Packages...)
	if _, err := command.Run(ctx, command.Cmd{Dir: string(m), Name: "go", Args: args, Env: environment(b.CGO)}); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return nil
}

// environment makes a build the same whatever the caller's settings are. -trimpath would keep the build from sharing compiled
// packages with the project's other builds of Kubernetes.
func environment(cgo bool) []string {
	enabled := "CGO_ENABLED=0"
	if cgo {
		enabled = "CGO_ENABLED=1"
	}
	return []string{enabled, "GOFLAGS=-buildvcs=false -mod=readonly", "GOWORK=off", "GOOS=linux"}
}
