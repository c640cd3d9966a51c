package images

import (
	"context"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/workloads/program"
)

// Binary is an executable whose programs become images.
type Binary struct {
	// Path is the executable: for Linux, linked statically, and called as the listings of others name it (program.Listing.Binary).
	Path string
	// Architecture is what it is compiled for, in Go's words, for example amd64.
	Architecture string
	// Listings are the images that it offers; none where it only holds programs of images that another one offers.
	Listings []program.Listing
}

// Inspect finds out what the executable at path is, and asks it for its images. An executable that cannot be part of an image
// (another system's, one with shared libraries, none at all) and one that does not answer are errors of party infra.
func Inspect(ctx context.Context, path string) (Binary, error) {
	b := Binary{Path: path}
	var err error
	if b.Architecture, err = architecture(path); err != nil {
		return b, err
	}
	out, err := exec.CommandContext(ctx, path, "--images").Output()
	if err == nil {
		err = json.Unmarshal(out, &b.Listings)
	}
	if err != nil {
		return b, buildAgain(fmt.Errorf("list images of %s: %w", path, err))
	}
	return b, nil
}

func buildAgain(err error) error {
	return errs.Hint(errs.With(errs.Infra, err), "build it again, for Linux and with CGO_ENABLED=0, as make build does")
}

// architecture returns what the executable at path is compiled for.
func architecture(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", buildAgain(fmt.Errorf("read executable %s: %w", path, err))
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", buildAgain(fmt.Errorf("read executable %s: it needs shared libraries, which an image does not have", path))
		}
	}
	switch f.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	}
	return "", buildAgain(fmt.Errorf("read executable %s: images for %s are not made", path, f.Machine))
}

// name is what others call the executable.
func (b Binary) name() string { return filepath.Base(b.Path) }

// libexec is where executables lie in an image. Only links lead there.
const libexec = "usr/libexec"

// place is the executable's path in an image, relative to the root. The harness's name is left out: it is nothing that a
// container should show.
func (b Binary) place() string { return libexec + "/" + strings.TrimPrefix(b.name(), "gameday-") }

// entry is the executable as it is in an image.
func (b Binary) entry() (entry, error) {
	info, err := os.Stat(b.Path)
	if err != nil {
		return entry{}, fmt.Errorf("read executable: %w", err)
	}
	return entry{name: b.place(), mode: 0o755, size: info.Size(), open: func() (io.ReadCloser, error) {
		f, err := os.Open(b.Path)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{rename(f, modulePath, neutralPath), f}, nil
	}}, nil
}
