// Package debian installs Debian packages on this machine.
package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/command"
)

// Need is a command that has to be on this machine, or a file where File is set, and the package that it is in.
type Need struct{ Command, File, Package string }

// Missing returns the packages of what is not on this machine, sorted.
func Missing(needs ...Need) []string {
	var out []string
	for _, n := range needs {
		if !n.here() {
			out = append(out, n.Package)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (n Need) here() bool {
	if n.File != "" {
		found, err := filepath.Glob(n.File)
		return err == nil && len(found) > 0
	}
	_, err := Look(n.Command)
	return err == nil
}

// Look returns the path of a command: also one for root, when the caller's PATH does not have those.
func Look(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return found, nil
		}
	}
	return "", err
}

// Install installs packages, and starts none of the services in them. It changes nothing where packages is empty.
func Install(ctx context.Context, packages []string) error {
	if len(packages) == 0 {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("this machine lacks %s, and has no apt-get to install them with: install them, or their equivalents, by hand",
			strings.Join(packages, ", "))
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("this machine lacks %s: run as root, or install them first", strings.Join(packages, ", "))
	}
	return withoutServices(func() error {
		if _, err := apt(ctx, "update", "-q"); err != nil {
			return fmt.Errorf("update the list of packages: %w", err)
		}
		if _, err := apt(ctx, append([]string{"install", "-q", "-y", "--no-install-recommends"}, packages...)...); err != nil {
			return fmt.Errorf("install packages: %w", err)
		}
		return nil
	})
}

func apt(ctx context.Context, args ...string) ([]byte, error) {
	return command.Run(ctx, command.Cmd{Name: "apt-get", Args: args, Env: []string{"DEBIAN_FRONTEND=noninteractive"}})
}

// withoutServices keeps packages from starting their services while do runs: a second Docker daemon would fight over the bridge. A policy
// that the machine has already is left alone.
func withoutServices(do func() error) error {
	const policy, forbid, mode = "/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755
	f, err := os.OpenFile(policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if errors.Is(err, fs.ErrExist) {
		return do()
	}
	if err != nil {
		return fmt.Errorf("keep packages from starting services: %w", err)
	}
	_, err = f.WriteString(forbid)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = do()
	}
	return errors.Join(err, os.Remove(policy))
}
