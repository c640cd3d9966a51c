package program

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
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

// FileSystems lists what is mounted and has a size, as df does: the root first, then the volumes in the order of their paths. Files
// that are mounted alone, as /etc/hosts is, lie on the node's disk, which is not the container's.
func (osFiles) FileSystems() ([]FileSystem, error) {
	mounts, err := osMounts()
	if err != nil {
		return nil, err
	}
	var out []FileSystem
	for _, m := range mounts {
		if info, err := os.Stat(m.at); m.kernel() || err != nil || !info.IsDir() {
			continue
		}
		if s, err := m.space(m.at); err == nil && s.Size > 0 {
			out = append(out, s)
		}
	}
	return out, nil
}

// FileSystem returns the one that holds name, with symbolic links followed.
func (osFiles) FileSystem(name string) (FileSystem, error) {
	at, err := filepath.EvalSymlinks(name)
	if err == nil {
		at, err = filepath.Abs(at)
	}
	if err != nil {
		return FileSystem{}, err
	}
	mounts, err := osMounts()
	if err != nil {
		return FileSystem{}, err
	}
	var on osMount
	for _, m := range mounts {
		if m.holds(at) {
			on = m // The last one lies deepest.
		}
	}
	return on.space(at)
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
