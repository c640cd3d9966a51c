package program

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
)

// osMount is one mount of the operating system.
type osMount struct {
	at, kind, device string
	readOnly         bool
}

// osMounts returns what is mounted where this process can see it: see parseMounts.
func osMounts() ([]osMount, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	defer f.Close()
	return parseMounts(f)
}

// parseMounts reads the format of /proc/PID/mountinfo, as proc(5) describes it. The mounts are sorted by path, so that what
// holds a file is the last whose path is above it; of several at one path there is the one on top.
func parseMounts(r io.Reader) ([]osMount, error) {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	found := map[string]osMount{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		place, source, ok := strings.Cut(lines.Text(), " - ")
		fields, of := strings.Fields(place), strings.Fields(source)
		if !ok || len(fields) < 6 || len(of) < 2 {
			return nil, fmt.Errorf("read mounts: %q is not a line of mountinfo", lines.Text())
		}
		m := osMount{
			at: unescape.Replace(fields[4]), kind: of[0], device: unescape.Replace(of[1]),
			readOnly: slices.Contains(strings.Split(fields[5], ","), "ro"),
		}
		found[m.at] = m
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read mounts: %w", err)
	}
	return slices.SortedFunc(maps.Values(found), func(a, b osMount) int { return cmp.Compare(a.at, b.at) }), nil
}

// holds reports whether the absolute path lies at or below the mount.
func (m osMount) holds(path string) bool {
	return m.at == "/" || path == m.at || strings.HasPrefix(path, m.at+"/")
}

// kernel reports whether the mount shows the kernel and no files of anybody.
func (m osMount) kernel() bool {
	return osMount{at: "/proc"}.holds(m.at) || osMount{at: "/sys"}.holds(m.at)
}

// space asks how large the file system at path is, which the mount holds.
func (m osMount) space(path string) (FileSystem, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return FileSystem{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	size := int64(st.Blocks) * st.Bsize
	return FileSystem{
		Device: m.device, Type: m.kind, MountedOn: m.at, ReadOnly: m.readOnly,
		Size: size, Used: size - int64(st.Bfree)*st.Bsize, Free: int64(st.Bavail) * st.Bsize,
	}, nil
}
