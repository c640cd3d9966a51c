package cri

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// defaultSysctls are what a pod sees that sets nothing: of the sysctls that belong to a pod, those that the kubelet takes for safe. What the
// userspace network does otherwise than Linux by default is shown as it is.
var defaultSysctls = map[string]string{
	"kernel.shm_rmid_forced":              "0",
	"net.ipv4.ip_local_port_range":        "32768\t60999",
	"net.ipv4.ip_local_reserved_ports":    "",
	"net.ipv4.ip_unprivileged_port_start": "0",
	"net.ipv4.ping_group_range":           "1\t0",
	"net.ipv4.tcp_fin_timeout":            "20",
	"net.ipv4.tcp_keepalive_intvl":        "75",
	"net.ipv4.tcp_keepalive_probes":       "9",
	"net.ipv4.tcp_keepalive_time":         "7200",
	"net.ipv4.tcp_rmem":                   "4096\t131072\t4194304",
	"net.ipv4.tcp_syncookies":             "1",
	"net.ipv4.tcp_wmem":                   "4096\t131072\t4194304",
}

// sysctls is the directory that the pod's containers see as /proc/sys, read-only as in any container without privileges.
func (s *sandboxPod) sysctls() string { return filepath.Join(s.dir, "sysctls") }

// makeSysctls writes a file for each sysctl of the pod. Numbers are separated as the kernel separates them.
func (s *sandboxPod) makeSysctls() error {
	values := maps.Clone(defaultSysctls)
	for name, value := range s.config.GetLinux().GetSysctls() {
		values[strings.ReplaceAll(name, "/", ".")] = strings.Join(strings.Fields(value), "\t")
	}
	for name, value := range values {
		file := filepath.Join(s.sysctls(), filepath.Join("/", strings.ReplaceAll(name, ".", "/")))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("make sysctls: %w", err)
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return fmt.Errorf("write sysctl %s: %w", name, err)
		}
	}
	return nil
}
