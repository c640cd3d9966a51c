// Package rootfs is what the root file system of every container holds before its image and its pod add to it. It is the same
// on the embedded cluster, whose container runtime lays it out, and in the images for other clusters.
package rootfs

import (
	"io/fs"

	"github.com/gameday-bench/gameday/workloads/program"
)

// Path is the PATH that containers are given.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// nobody is the user that owns nothing.
const nobody = 65534

// Dir is a directory.
type Dir struct {
	// Path is relative to the root.
	Path string
	// Mode holds the permissions and the sticky bit.
	Mode fs.FileMode
	// Owner is the number of both the user and the group that the directory belongs to.
	Owner uint32
}

// Dirs returns the directories. Those that lead to them are root's, with mode 0755.
func Dirs() []Dir {
	return []Dir{
		{Path: "app", Mode: 0o755}, {Path: "bin", Mode: 0o755}, {Path: "dev/shm", Mode: 0o777 | fs.ModeSticky}, {Path: "etc", Mode: 0o755},
		{Path: "home/nonroot", Mode: 0o755, Owner: program.NonRoot}, {Path: "mnt", Mode: 0o755}, {Path: "opt", Mode: 0o755},
		{Path: "proc/sys", Mode: 0o755}, {Path: "root", Mode: 0o700}, {Path: "run", Mode: 0o755}, {Path: "srv", Mode: 0o755},
		{Path: "sys/class/net/eth0", Mode: 0o755}, {Path: "sys/fs/cgroup", Mode: 0o755}, {Path: "tmp", Mode: 0o777 | fs.ModeSticky}, {Path: "usr/bin", Mode: 0o755},
		{Path: "usr/local/bin", Mode: 0o755}, {Path: "var/lib", Mode: 0o755}, {Path: "var/log", Mode: 0o755}, {Path: "var/run", Mode: 0o755},
		{Path: "var/tmp", Mode: 0o777 | fs.ModeSticky},
	}
}

// Files returns the content of the files by their paths, relative to the root. They are root's, with mode 0644.
func Files() map[string]string {
	return map[string]string{
		"etc/group":         "root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n",
		"etc/nsswitch.conf": "hosts: files dns\n",
		"etc/os-release":    "PRETTY_NAME=\"Distroless\"\nNAME=\"Debian GNU/Linux\"\nID=\"debian\"\nVERSION_ID=\"12\"\nVERSION=\"Debian GNU/Linux 12 (bookworm)\"\n",
		"etc/passwd":        "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
	}
}

// Homes returns the home directories of the users of etc/passwd by their numbers. Each of them has a group of that number.
func Homes() map[uint32]string {
	return map[uint32]string{0: "/root", program.NonRoot: "/home/nonroot", nobody: "/nonexistent"}
}
