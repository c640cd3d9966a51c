// Package mounts finds and ends mounts below a directory. A directory below which something is mounted must not be removed: what is
// mounted there would be removed with it.
package mounts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Below returns the mount points at and below dir that mountinfo lists, the innermost first. mountinfo has the format of
// /proc/self/mountinfo; dir is an absolute path without symbolic links.
func Below(mountinfo io.Reader, dir string) ([]string, error) {
	var out []string
	lines := bufio.NewScanner(mountinfo)
	lines.Buffer(nil, 1<<20) // Options of overlays are long.
	for lines.Scan() {
		const mountPoint = 4
		fields := strings.Fields(lines.Text())
		if len(fields) <= mountPoint {
			continue
		}
		point := unescaped.Replace(fields[mountPoint])
		if point == dir || strings.HasPrefix(point, dir+"/") {
			out = append(out, point)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	// The list is in the order of mounting: what was mounted last goes first.
	slices.Reverse(out)
	return out, nil
}

// Inside returns the mount points below dir, and not at dir itself, as Below does.
func Inside(mountinfo io.Reader, dir string) ([]string, error) {
	points, err := Below(mountinfo, dir)
	return slices.DeleteFunc(points, func(point string) bool { return point == dir }), err
}

// unescaped are the characters that mountinfo writes as octal numbers.
var unescaped = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// Detach unmounts everything at and below dir. A directory that does not exist has no mounts.
func Detach(dir string) error { return detach(dir, Below) }

// DetachBelow unmounts everything below dir. What is mounted at dir itself stays.
func DetachBelow(dir string) error { return detach(dir, Inside) }

func detach(dir string, find func(mountinfo io.Reader, dir string) ([]string, error)) error {
	resolved, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("resolve directory: %w", err)
	}
	if resolved, err = filepath.Abs(resolved); err != nil {
		return fmt.Errorf("resolve directory: %w", err)
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("read mounts: %w", err)
	}
	defer f.Close()
	points, err := find(f, resolved)
	if err != nil {
		return err
	}
	for _, point := range points {
		// EINVAL says that it is no mount point any more: it went with another one.
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
	return nil
}

// RemoveAll is os.RemoveAll for a directory below which something may be mounted.
func RemoveAll(dir string) error {
	if err := Detach(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// Purge removes a directory that may itself be where somebody has mounted a disk: then all that is on it, and the directory stays.
func Purge(dir string) error {
	if err := DetachBelow(dir); err != nil {
		return err
	}
	err := os.RemoveAll(dir)
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	if left, readErr := os.ReadDir(dir); readErr != nil || len(left) > 0 {
		return err
	}
	return nil
}
