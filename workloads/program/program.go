// Package program is what in-cluster programs are written against: the services of the applications, the stores, the
// load generator, the cluster DNS.
//
// A program is a Func. All that it may touch comes in its Sys: network, files, arguments, environment, output, clock. On the
// embedded cluster Sys is the sandbox of one container (package sandbox); in a real container it is the operating system. A
// program that keeps to its Sys therefore runs unchanged on every cluster.
package program

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"time"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// Func is a program. It returns when its work is done or soon after ctx ends, which is how SIGTERM arrives. A nil error
// means exit code 0, an *ExitError means its code, any other error is printed to stderr and means 1. A panic is a crash: its stack goes to stderr
// and the exit code is 2.
type Func func(ctx context.Context, sys *Sys) error

// Shell runs a command line in the context of sys: argv[0] names a shell, one of its tools or the image's own program.
// Its errors are those of a Func.
type Shell func(ctx context.Context, sys *Sys, argv []string) error

// Sys is the system that a program runs on. Its fields are set before the program starts and not changed afterwards.
type Sys struct {
	// Net is the network of the pod.
	Net Network
	// Files are the files of the container.
	Files Files
	// Args are the arguments after the program's own name.
	Args []string
	// Env is the environment.
	Env map[string]string
	// Cwd is the working directory.
	Cwd string
	// User is who the program runs as.
	User User
	// Hostname is the name of the pod (or the host).
	Hostname string
	// Variant is the build variant: the tag of the image that the program was started from.
	Variant string
	// Image is the image that the container was made from.
	Image *Image
	// Main is the argument vector of the container's first process, which a command in its context is not.
	Main []string
	// Stdin, Stdout and Stderr are the standard streams.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Clock tells the time; programs take no time from package time.
	Clock clock.WithTicker
}

// Getenv returns the value of an environment variable, or "".
func (s *Sys) Getenv(name string) string { return s.Env[name] }

// Network is a pod's network. Names are resolved by the container's own hosts file and resolv.conf. Errors are those of
// package net (*net.OpError, *net.DNSError) with the operating system's words. Methods may be called concurrently; what was opened stays usable after
// ctx has ended and is closed by the caller.
type Network interface {
	// DialContext connects to host:port; network is tcp, tcp4, udp or udp4.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	// Listen listens for TCP connections at host:port; an empty host means every address of the pod.
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	// ListenPacket opens a UDP socket at host:port.
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	// LookupHost returns the addresses of host.
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// User is who a container's processes are.
type User = sandbox.User

// File is an open file of a container.
type File = sandbox.File

// FileSystem is one file system of a container.
type FileSystem = sandbox.FileSystem

// FileReader reads a container's files. Relative paths start at the working directory. Errors are *fs.PathError and name container paths.
type FileReader interface {
	Open(name string) (*File, error)
	Stat(name string) (fs.FileInfo, error)
	Lstat(name string) (fs.FileInfo, error)
	// ReadDir lists a directory, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	Readlink(name string) (string, error)
}

// FileWriter changes a container's files. A read-only mount answers EROFS, a volume that is full ENOSPC.
type FileWriter interface {
	OpenFile(name string, flag int, perm fs.FileMode) (*File, error)
	MkdirAll(name string, perm fs.FileMode) error
	Remove(name string) error
	RemoveAll(name string) error
	Rename(from, to string) error
}

// FileAttributes changes what is known about files.
type FileAttributes interface {
	Symlink(to, name string) error
	// Chown changes the owner; an id of -1 stays as it is.
	Chown(name string, uid, gid int) error
	Chmod(name string, mode fs.FileMode) error
	Chtimes(name string, atime, mtime time.Time) error
}

// FileSpace tells how much room there is.
type FileSpace interface {
	// FileSystems lists the file systems, the root first.
	FileSystems() ([]FileSystem, error)
	// FileSystem returns the one that holds name.
	FileSystem(name string) (FileSystem, error)
}

// Files are a container's files. Methods may be called concurrently.
type Files interface {
	FileReader
	FileWriter
	FileAttributes
	FileSpace
}

// ReadFile reads the whole file called name.
func ReadFile(files FileReader, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// WriteFile makes or truncates the file called name and writes data to it.
func WriteFile(files FileWriter, name string, data []byte, perm fs.FileMode) error {
	f, err := files.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// ExitError ends a program with a code of its own.
type ExitError struct {
	// Code is the exit code, 1 to 255.
	Code int
	// Err is printed to stderr when it is set.
	Err error
}

// Error says why the program ended.
func (e *ExitError) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Unwrap returns Err.
func (e *ExitError) Unwrap() error { return e.Err }
