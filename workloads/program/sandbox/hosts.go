package sandbox

import (
	"bufio"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// lookupHosts returns the addresses that a hosts file has for host: those of all lines that name it, in any case, IPv4
// first. A name with a dot at its end is absolute, and no name of a hosts file.
func lookupHosts(r io.Reader, host string) []string {
	var v4, v6 []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		w := strings.Fields(line)
		if len(w) < 2 || !slices.ContainsFunc(w[1:], func(n string) bool { return strings.EqualFold(n, host) }) {
			continue
		}
		a, err := netip.ParseAddr(w[0])
		if err != nil {
			continue
		}
		list := &v6
		if a = a.Unmap(); a.Is4() {
			list = &v4
		}
		if !slices.Contains(*list, a.String()) {
			*list = append(*list, a.String())
		}
	}
	return append(v4, v6...)
}
