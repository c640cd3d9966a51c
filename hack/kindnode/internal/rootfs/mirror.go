package rootfs

import (
	"io/fs"
	"strings"
)

// DefaultMirror has every Debian release.
const DefaultMirror = "http://deb.debian.org/debian"

// Mirror returns the Debian mirror that a machine uses, from the files of its directory /etc/apt; DefaultMirror where it names none.
// A machine that reaches one mirror only has it there.
func Mirror(apt fs.FS) string {
	for _, pattern := range []string{"sources.list.d/*.sources", "sources.list.d/*.list", "sources.list"} {
		names, err := fs.Glob(apt, pattern)
		if err != nil {
			continue
		}
		for _, name := range names {
			data, err := fs.ReadFile(apt, name)
			if err != nil {
				continue
			}
			if uri := firstMirror(string(data)); uri != "" {
				return uri
			}
		}
	}
	return DefaultMirror
}

// firstMirror is the first address in a list of sources that has the main archive: not updates for security, and not another distribution.
func firstMirror(list string) string {
	for _, line := range strings.Split(list, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "deb" && fields[0] != "URIs:" {
			continue
		}
		for _, uri := range fields[1:] {
			uri = strings.TrimSuffix(uri, "/")
			if strings.HasPrefix(uri, "http") && strings.HasSuffix(uri, "/debian") {
				return uri
			}
		}
	}
	return ""
}
