// Package rootfs makes a Debian root directory, and takes programs with their libraries out of one.
package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/command"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/debian"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/mounts"
)

// Debian is a root directory to be made.
type Debian struct {
	// Suite is the release, for example bookworm.
	Suite string
	// Mirror is where its packages are.
	Mirror string
	// Packages are installed beside what every Debian has.
	Packages []string
}

// Make makes it in dir, which is empty. It takes root.
func (d Debian) Make(ctx context.Context, dir string) error {
	if os.Geteuid() != 0 {
		return errors.New("make a Debian root directory: this takes root")
	}
	debootstrap, err := debian.Look("debootstrap")
	if err != nil {
		return fmt.Errorf("make a Debian root directory: %w", err)
	}
	_, err = command.Run(ctx, command.Cmd{
		Name: debootstrap, Args: []string{"--variant=minbase", "--include=" + strings.Join(d.Packages, ","), d.Suite, dir, d.Mirror},
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
	})
	if err != nil {
		// Its own log says more than its output, where it got that far.
		detail, readErr := os.ReadFile(filepath.Join(dir, "debootstrap", "debootstrap.log"))
		if readErr == nil {
			err = fmt.Errorf("%w\n  its log ends with:\n%s", err, lastLines(string(detail)))
		}
		return fmt.Errorf("make a Debian root directory from %s: %w", d.Mirror, err)
	}
	return mounts.Detach(dir)
}

func lastLines(text string) string {
	const shown = 12
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-shown):], "\n")
}
