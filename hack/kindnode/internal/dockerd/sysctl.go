package dockerd

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// changed are the settings of the whole kernel, or of the machine's own network, that a daemon and its nodes change. What a node changes in
// its own namespaces goes with it.
var changed = []string{
	// The kubelet, which fails where it cannot.
	"proc/sys/kernel/keys/root_maxbytes", "proc/sys/kernel/keys/root_maxkeys", "proc/sys/kernel/panic", "proc/sys/kernel/panic_on_oops",
	"proc/sys/vm/overcommit_memory", "proc/sys/vm/panic_on_oom",
	// kube-proxy, where the node's kernel lets it.
	"proc/sys/net/netfilter/nf_conntrack_max", "sys/module/nf_conntrack/parameters/hashsize",
	// systemd as the first process of a node, and the settings that Debian's packages bring.
	"proc/sys/fs/file-max", "proc/sys/fs/inotify/max_user_instances", "proc/sys/fs/inotify/max_user_watches", "proc/sys/fs/nr_open",
	"proc/sys/fs/protected_fifos", "proc/sys/fs/protected_hardlinks", "proc/sys/fs/protected_regular", "proc/sys/fs/protected_symlinks",
	"proc/sys/fs/suid_dumpable", "proc/sys/kernel/core_pattern", "proc/sys/kernel/core_pipe_limit", "proc/sys/kernel/core_uses_pid",
	"proc/sys/kernel/pid_max", "proc/sys/kernel/sysrq", "proc/sys/net/core/default_qdisc",
	// dockerd.
	"proc/sys/net/bridge/bridge-nf-call-ip6tables", "proc/sys/net/bridge/bridge-nf-call-iptables", "proc/sys/net/ipv4/ip_forward",
	"proc/sys/net/ipv6/conf/all/forwarding", "proc/sys/net/ipv6/conf/default/forwarding",
}

// readSysctls returns the settings that exist and can be read, by their paths below root.
func readSysctls(root string) map[string]string {
	out := map[string]string{}
	for _, name := range changed {
		if data, err := os.ReadFile(filepath.Join(root, name)); err == nil {
			out[name] = strings.TrimSpace(string(data))
		}
	}
	return out
}

// restoreSysctls puts settings back that are not as they were, and returns their names. One that does not exist any more needs none.
func restoreSysctls(root string, saved map[string]string) (restored []string, err error) {
	now := readSysctls(root)
	var failures []error
	for _, name := range slices.Sorted(maps.Keys(saved)) {
		if value, exists := now[name]; !exists || value == saved[name] {
			continue
		}
		err := os.WriteFile(filepath.Join(root, name), []byte(saved[name]+"\n"), 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("put back %s: %w", name, err))
			continue
		}
		restored = append(restored, name)
	}
	return restored, errors.Join(failures...)
}
