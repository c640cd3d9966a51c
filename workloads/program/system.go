package program

import (
	"context"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

var (
	_ Network = (*sandbox.Client)(nil)
	_ Files   = (*sandbox.Tree)(nil)
)

// System returns the operating system as a Sys: what a program runs on in a real container. The build variant is the
// environment variable GAMEDAY_VARIANT, or else the image's first tag.
func System(im *Image, args []string) (*Sys, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	cwd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	s := &Sys{
		Net: osNetwork{}, Files: osFiles{}, Args: args, Env: environ(os.Environ()), Cwd: cwd, User: currentUser(), Hostname: host, Image: im,
		Variant: os.Getenv("GAMEDAY_VARIANT"), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Clock: clock.RealClock{},
	}
	if s.Variant == "" {
		s.Variant = im.Tags[0]
	}
	return s, nil
}

func currentUser() User {
	u := User{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	groups, _ := os.Getgroups() // It cannot fail where there are users.
	for _, g := range groups {
		u.Groups = append(u.Groups, uint32(g))
	}
	return u
}

func environ(list []string) map[string]string {
	out := make(map[string]string, len(list))
	for _, kv := range list {
		k, v, _ := strings.Cut(kv, "=")
		out[k] = v
	}
	return out
}

// osNetwork is the operating system's network.
type osNetwork struct{}

func (osNetwork) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (osNetwork) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, network, address)
}

func (osNetwork) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	return (&net.ListenConfig{}).ListenPacket(ctx, network, address)
}

func (osNetwork) LookupHost(ctx context.Context, host string) ([]string, error) {
	return net.DefaultResolver.LookupHost(ctx, host)
}

// osFiles are the operating system's files.
type osFiles struct{}

func (osFiles) Open(name string) (*File, error)            { return sandbox.Plain(os.Open(name)) }
func (osFiles) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }
func (osFiles) Lstat(name string) (fs.FileInfo, error)     { return os.Lstat(name) }
func (osFiles) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }
func (osFiles) Readlink(name string) (string, error)       { return os.Readlink(name) }

func (osFiles) OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	return sandbox.Plain(os.OpenFile(name, flag, perm))
}

// FileSystems lists the root only: what else is mounted is in the host's own table.
func (o osFiles) FileSystems() ([]FileSystem, error) {
	root, err := o.FileSystem("/")
	return []FileSystem{root}, err
}

func (osFiles) FileSystem(name string) (FileSystem, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(name, &st); err != nil {
		return FileSystem{}, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	size := int64(st.Blocks) * st.Bsize
	return FileSystem{
		Device: "overlay", Type: "overlay", MountedOn: "/", Size: size, Used: size - int64(st.Bfree)*st.Bsize, Free: int64(st.Bavail) * st.Bsize,
	}, nil
}

func (osFiles) MkdirAll(name string, perm fs.FileMode) error { return os.MkdirAll(name, perm) }
func (osFiles) Remove(name string) error                     { return os.Remove(name) }
func (osFiles) RemoveAll(name string) error                  { return os.RemoveAll(name) }
func (osFiles) Rename(from, to string) error                 { return os.Rename(from, to) }
func (osFiles) Symlink(to, name string) error                { return os.Symlink(to, name) }
func (osFiles) Chown(name string, uid, gid int) error        { return os.Chown(name, uid, gid) }
func (osFiles) Chmod(name string, mode fs.FileMode) error    { return os.Chmod(name, mode) }
func (osFiles) Chtimes(name string, atime, mtime time.Time) error {
	return os.Chtimes(name, atime, mtime)
}
