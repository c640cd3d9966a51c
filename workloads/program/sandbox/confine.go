package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// hostFiles are the files and directories of the host that Go itself and the libraries of programs read.
var hostFiles = []string{"/proc", "/usr/share/zoneinfo", "/etc/localtime"}

// Confine denies this process, for good, to open what is neither in its container nor read by every Go program: a second
// lock, for libraries that open files of the host by their paths, behind symbolic links that somebody may have made in a
// volume. Such an attempt fails with EACCES. The lock is Landlock's, since Linux 5.19; a kernel without it denies nothing, and that
// is no error. t has to be c's tree.
func (t *Tree) Confine(c *Container) error {
	rules := []landlock.Rule{landlock.RWFiles(devices...).IgnoreIfMissing(), landlock.ROFiles(c.ResolvConf).IgnoreIfMissing()}
	for _, name := range hostFiles {
		rules = append(rules, allow(name, true))
	}
	if c.Conditions != "" {
		// The rules for files beside it are another file each time.
		rules = append(rules, allow(filepath.Dir(c.Conditions), true))
	}
	for _, m := range t.mounts {
		// As it was opened: its path may lead elsewhere by now.
		f, err := m.root.OpenFile(cmp.Or(m.file, "."), unix.O_PATH, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("confine to %s: %w", m.at, err)
		}
		defer f.Close()
		rules = append(rules, allow(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), m.readOnly))
	}
	if err := landlock.V5.BestEffort().RestrictPaths(rules...); err != nil {
		return fmt.Errorf("confine process to its container: %w", err)
	}
	return nil
}

// allow is the rule for a file, or for a directory and all below it. Files may be moved from one directory to another.
func allow(name string, readOnly bool) landlock.FSRule {
	info, err := os.Stat(name)
	isDir := err == nil && info.IsDir()
	switch {
	case isDir && readOnly:
		return landlock.RODirs(name).IgnoreIfMissing()
	case isDir:
		return landlock.RWDirs(name).WithRefer().IgnoreIfMissing()
	case readOnly:
		return landlock.ROFiles(name).IgnoreIfMissing()
	}
	return landlock.RWFiles(name).IgnoreIfMissing()
}
