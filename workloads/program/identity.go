package program

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// IdentityFile is the name of the file that lies beside a binary in an image and holds an Identity as JSON.
const IdentityFile = "image.json"

// Identity says which image a binary is in. In an image a binary goes by many names, as busybox does: the entrypoint's is the
// image's program, and every other is a command of the shell or one of the image's own. Only by the path of its file is it the
// binary that Main describes.
//
// The file is part of the image, so that neither the pod's environment nor its command can make a container another build.
type Identity struct {
	// Program is the name of the image's program: Image.Name.
	Program string `json:"program"`
	// Variant is the build variant: the image's tag.
	Variant string `json:"variant"`
}

// identify returns which image this process was started in, by name, its first argument. It is in none where that is the
// path of the binary itself, and where no IdentityFile lies beside the binary.
func identify(name string) (id Identity, in bool, err error) {
	self, err := os.Executable()
	if err != nil {
		return id, false, fmt.Errorf("find own executable: %w", err)
	}
	if name == self {
		return id, false, nil
	}
	file := filepath.Join(filepath.Dir(self), IdentityFile)
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return id, false, nil
	case err != nil:
		return id, false, fmt.Errorf("read image identity: %w", err)
	}
	if err := json.Unmarshal(data, &id); err != nil {
		return id, false, fmt.Errorf("decode image identity %s: %w", file, err)
	}
	return id, true, nil
}

// runImage is a process of a container that is made from an image of the binary, on the operating system: the image's program
// where argv begins with the entrypoint's name, otherwise the command of that name.
func runImage(ctx context.Context, registry *Registry, shell Shell, id Identity, argv []string) error {
	im, ok := registry.Lookup(id.Program)
	if !ok {
		return usage("start container: no program %q in this binary", id.Program)
	}
	sys, err := System(im, argv[1:])
	if err != nil {
		return fmt.Errorf("read operating system: %w", err)
	}
	sys.Variant, sys.Main = id.Variant, firstProcess()
	switch {
	case im.startedBy(argv[0]) && im.Program != nil:
		return im.Program(ctx, sys)
	case im.startedBy(argv[0]), shell == nil:
		return &ExitError{Code: codeNotFound, Err: fmt.Errorf("exec: %q: executable file not found in $PATH", argv[0])}
	}
	return shell(ctx, sys, argv)
}

// startedBy reports whether a process whose first argument is name runs the image's program. The runtime passes on what the
// pod wrote, so that /bin/prometheus may come as prometheus.
func (im *Image) startedBy(name string) bool {
	return len(im.Entrypoint) > 0 && path.Base(name) == path.Base(im.Entrypoint[0])
}

// firstProcess is the argument vector of the container's first process, nil where it cannot be seen.
func firstProcess() []string {
	data, err := os.ReadFile("/proc/1/cmdline")
	if err != nil || len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
}
