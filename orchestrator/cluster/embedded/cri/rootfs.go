package cri

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"

	"github.com/gameday-bench/gameday/workloads/program/rootfs"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// homes are the home directories of the users of etc/passwd.
var homes = rootfs.Homes()

func (c *container) rootDir() string { return filepath.Join(c.dir, "root") }

// prepare makes the container's root file system and writes its description.
func (c *container) prepare() error {
	root := c.rootDir()
	for _, d := range rootfs.Dirs() {
		p := filepath.Join(root, d.Path)
		if err := os.MkdirAll(p, 0o755); err != nil {
			return fmt.Errorf("make container root: %w", err)
		}
		if err := os.Chmod(p, d.Mode); err != nil { // MkdirAll is subject to the umask.
			return fmt.Errorf("make container root: %w", err)
		}
		if d.Owner != 0 {
			_ = os.Chown(p, int(d.Owner), int(d.Owner)) // It fails where the runtime may not give files away.
		}
	}
	host := c.hostname()
	for _, f := range []map[string]string{rootfs.Files(), {
		"etc/hostname":           host + "\n",
		"etc/hosts":              fmt.Sprintf("127.0.0.1\tlocalhost\n%s\t%s\n", c.sandbox.ip, host),
		"sys/class/net/eth0/mtu": fmt.Sprintln(c.sandbox.mtu),
	}} {
		for name, text := range f {
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
				return fmt.Errorf("seed container root: %w", err)
			}
		}
	}
	if err := c.writeCgroup(); err != nil {
		return err
	}
	mounts, err := c.mounts()
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if m.Memory && m.Account != "" {
			c.tmpfs = append(c.tmpfs, m.Account)
		}
	}
	desc := sandbox.Container{
		Program: c.image.Program, Variant: c.image.Tag, Args: c.argv(), Env: c.environment(), Cwd: c.config.WorkingDir,
		Root: root, ReadOnlyRoot: c.readOnlyRoot(), User: c.user(), Mounts: mounts, Hostname: host, ResolvConf: c.sandbox.resolvConf(),
		Conditions: c.conditionsPath(),
	}
	conditions, err := sandbox.CreateConditions(c.conditionsPath())
	if err != nil {
		return err
	}
	if err := conditions.Close(); err != nil {
		return fmt.Errorf("unmap conditions: %w", err)
	}
	data, err := json.Marshal(desc)
	if err != nil {
		return fmt.Errorf("encode container description: %w", err)
	}
	// The environment may hold secrets.
	if err := os.WriteFile(c.configPath(), data, 0o600); err != nil {
		return fmt.Errorf("write container description: %w", err)
	}
	return nil
}

// argv is the complete argument vector: the manifest's command or the image's entrypoint, then the manifest's args. The
// image's own arguments are for a manifest that says nothing.
func (c *container) argv() []string {
	command, args := c.config.Command, c.config.Args
	if len(command) == 0 {
		command = c.image.Entrypoint
		if len(args) == 0 {
			args = c.image.Cmd
		}
	}
	return slices.Concat(command, args)
}

func (c *container) hostname() string {
	if h := c.sandbox.config.GetHostname(); h != "" {
		return h
	}
	if c.sandbox.hostNetwork() && c.r.cfg.Hostname != "" {
		return c.r.cfg.Hostname
	}
	return c.sandbox.config.GetMetadata().GetName()
}

// environment is what the container sees: the runtime's defaults and, over them, what the kubelet resolved.
func (c *container) environment() map[string]string {
	env := map[string]string{
		"PATH": rootfs.Path, "HOSTNAME": c.hostname(), "HOME": "/",
	}
	if home, ok := homes[c.user().UID]; ok {
		env["HOME"] = home
	}
	for _, kv := range c.config.Envs {
		env[kv.Key] = kv.Value
	}
	return env
}

// mounts is the container's mount table. What the runtime has for every container lies beneath what the kubelet mounts.
func (c *container) mounts() ([]sandbox.Mount, error) {
	out := []sandbox.Mount{
		{ContainerPath: "/etc/resolv.conf", HostPath: c.sandbox.resolvConf(), ReadOnly: c.readOnlyRoot()},
		{ContainerPath: "/dev/shm", HostPath: c.sandbox.sharedMemory(), Account: c.sandbox.sharedMemoryAccount(), Memory: true},
		{ContainerPath: "/proc/sys", HostPath: c.sandbox.sysctls(), ReadOnly: true},
		{ContainerPath: cgroupMount, HostPath: c.cgroupDir(), ReadOnly: true},
	}
	for _, m := range c.config.Mounts {
		source, within, err := c.source(m.HostPath)
		if err == nil && c.isHostsFile(m) {
			source, within, err = c.nodeHosts(source)
		}
		if err != nil {
			return nil, err
		}
		mount := sandbox.Mount{ContainerPath: m.ContainerPath, HostPath: source, ReadOnly: m.Readonly, Within: within}
		if c.r.cfg.Account != nil {
			mount.Account = c.r.cfg.Account(source)
		}
		mount.Memory = c.r.cfg.TmpFS != nil && c.r.cfg.TmpFS(source)
		out = append(out, mount)
	}
	return out, nil
}

func (c *container) readOnlyRoot() bool {
	return c.config.GetLinux().GetSecurityContext().GetReadonlyRootfs()
}

// source maps a mount's source to the host: a path free of symbolic links, and the directory that it lies in and that the
// container must not be led out of. Sources outside the mountable directories are paths of the node, whose root is a
// directory of its own: nothing of the real host is ever mounted.
func (c *container) source(hostPath string) (path, within string, err error) {
	hostPath = filepath.Join("/", hostPath)
	for _, dir := range c.r.cfg.Mountable {
		if dir == c.r.cfg.HostPathDir || !below(hostPath, dir) {
			continue
		}
		onHost, err := filepath.EvalSymlinks(hostPath)
		if err != nil {
			return "", "", fmt.Errorf("resolve mount source: %w", err)
		}
		for _, dir := range c.r.cfg.Mountable {
			if base, err := filepath.EvalSymlinks(dir); err == nil && below(onHost, base) {
				return onHost, base, nil
			}
		}
		return "", "", fmt.Errorf("resolve mount source %s: it leads out of the node", hostPath)
	}
	return c.nodePath(hostPath)
}

// nodePath finds a path in the node's root directory, as in a chroot, and makes the directory when nothing is there.
func (c *container) nodePath(path string) (onHost, within string, err error) {
	root := c.r.cfg.HostPathDir
	if below(path, root) { // The kubelet's volume plugins have moved it already.
		path = strings.TrimPrefix(path, root)
	}
	if onHost, err = securejoin.SecureJoin(root, path); err != nil {
		return "", "", fmt.Errorf("resolve mount source: %w", err)
	}
	if _, err := os.Lstat(onHost); !os.IsNotExist(err) {
		return onHost, root, err
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return "", "", fmt.Errorf("make mount source: %w", err)
	}
	defer dir.Close()
	rel, err := filepath.Rel(root, onHost)
	if err == nil {
		err = dir.MkdirAll(rel, 0o755)
	}
	if err != nil {
		return "", "", fmt.Errorf("make mount source: %w", err)
	}
	return onHost, root, nil
}

// below reports whether path is dir or lies in it.
func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
}
