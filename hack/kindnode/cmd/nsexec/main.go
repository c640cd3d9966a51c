// Command nsexec runs a command in other namespaces, as Chaos Mesh's daemon asks its tool of that name to.
//
//	nsexec [-l] [-m FILE] [-n FILE] [-p FILE] [-i FILE] -- COMMAND [ARGUMENT...]
//
// -m, -n, -p and -i are the mount, network, process and IPC namespaces. -l keeps the files of the daemon's own image: here, with it -m has
// no effect at all, where the original enters the mount namespace after the command has been loaded. Signals are passed on to the command,
// whose exit code is nsexec's; the command does not outlive it.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	// Namespaces are those of a thread, and the command is started by the thread that has entered them.
	runtime.LockOSThread()
	request, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "nsexec:", err)
		os.Exit(2)
	}
	if err := request.enter(); err != nil {
		fmt.Fprintln(os.Stderr, "nsexec:", err)
		os.Exit(1)
	}
	code, err := run(request.command)
	if err != nil {
		fmt.Fprintln(os.Stderr, "nsexec:", err)
	}
	os.Exit(code)
}

// enter makes the namespaces those of the calling thread, which stays locked to its goroutine. A process namespace is one for children.
func (r request) enter() error {
	// All are opened before the first is entered: the files are those of the daemon.
	var files []*os.File
	for _, n := range r.namespaces {
		f, err := os.Open(n.file)
		if err != nil {
			return err
		}
		defer f.Close()
		files = append(files, f)
	}
	// A thread that shares its root directory with others may not enter a mount namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("separate the thread's root directory: %w", err)
	}
	for i, n := range r.namespaces {
		if err := unix.Setns(int(files[i].Fd()), n.kind); err != nil {
			return fmt.Errorf("enter namespace %s: %w", n.file, err)
		}
	}
	return nil
}

// run runs the command and returns its exit code.
func run(command []string) (int, error) {
	const cannotRun, notFound, killed = 126, 127, 128
	program, err := exec.LookPath(command[0])
	if err != nil {
		return notFound, err
	}
	cmd := exec.Command(program, command[1:]...) //nolint:noctx // Signals end it.
	cmd.Args[0] = command[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return cannotRun, err
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // A command that has ended needs no signal.
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return killed + int(status.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	if err != nil {
		return cannotRun, err
	}
	return 0, nil
}
