package dockerd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// made are the directories that a daemon makes on the machine because nodes mount them: kind's all mount the modules of the kernel.
var made = []string{"lib/modules"}

// absent returns those that there are not, by their paths below root.
func absent(root string) []string {
	var out []string
	for _, name := range made {
		if _, err := os.Lstat(filepath.Join(root, name)); errors.Is(err, fs.ErrNotExist) {
			out = append(out, name)
		}
	}
	return out
}

// removeMade removes directories that there were not. One that is not empty is somebody's by now.
func removeMade(root string, names []string) error {
	var failures []error
	for _, name := range names {
		err := os.Remove(filepath.Join(root, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) {
			failures = append(failures, fmt.Errorf("remove a directory that there was not: %w", err))
		}
	}
	return errors.Join(failures...)
}
