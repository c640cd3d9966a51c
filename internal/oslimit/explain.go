package oslimit

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Explain adds to an error about too many open files which limit it is and how to raise it. Any other error, and one that has been
// explained, is returned as it is. It has to be called where the error happened and while it lasts: it tries what is left.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	var known explained
	if errors.As(err, &known) {
		return err
	}
	// Components often hand on only the text.
	tooMany := errors.Is(err, unix.EMFILE) || strings.Contains(err.Error(), unix.EMFILE.Error())
	if !tooMany && !errors.Is(err, unix.ENFILE) && !strings.Contains(err.Error(), unix.ENFILE.Error()) {
		return err
	}
	return explained{fmt.Errorf("%w (%s)", err, which())}
}

type explained struct{ error }

func (e explained) Unwrap() error { return e.error }

// which finds the limit that has been reached.
func which() string {
	fd, err := unix.Dup(0) // Takes a descriptor, and opens no file.
	if errors.Is(err, unix.EMFILE) {
		limit := Level{}
		if l, err := Descriptors(); err == nil {
			limit = l
		}
		return fmt.Sprintf("this process may have %d open files: raise the limit, for example with ulimit -n 65536", limit.Max)
	}
	_ = unix.Close(fd)
	fd, err = unix.InotifyInit1(unix.IN_CLOEXEC)
	if errors.Is(err, unix.EMFILE) {
		taken := "all inotify instances of this user are taken"
		if l, err := Inotify("/"); err == nil {
			taken = fmt.Sprintf("this user has %d of %d inotify instances", l.Used, l.Max)
		}
		return taken + ": end other programs that watch files, or raise the limit: " + RaiseInotify(0)
	}
	_ = unix.Close(fd)
	if errors.Is(err, unix.ENFILE) {
		return "the machine has as many open files as it may: sudo sysctl -w fs.file-max=1048576"
	}
	return "no limit is reached any more: run fewer clusters at a time, or raise the limits that gameday doctor names"
}

// enoughInstances is what distributions for developers set.
const enoughInstances = 1024

// RaiseInotify is the command that lets a user have inotify instances, at least the given number.
func RaiseInotify(instances uint64) string {
	return fmt.Sprintf("sudo sysctl -w fs.inotify.max_user_instances=%d", max(instances, enoughInstances))
}
