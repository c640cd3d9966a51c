package cri

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/cgroups"
)

// cgroupMount is where a container sees its own control group, as with a cgroup namespace: version 2, read-only.
const cgroupMount = "/sys/fs/cgroup"

// cgroupDir is the directory that the container sees there. It holds what is asked of the group, not what is used.
func (c *container) cgroupDir() string { return filepath.Join(c.dir, "cgroup") }

// writeCgroup writes the container's limits as the kernel shows them (Control Group v2, "Interface Files"). Who reads a file sees the old limits or the new
// ones. The caller holds c.mu, or is alone with the container.
func (c *container) writeCgroup() error {
	if err := os.MkdirAll(c.cgroupDir(), 0o755); err != nil {
		return fmt.Errorf("make control group: %w", err)
	}
	for name, value := range c.limits.cgroup() {
		draft := filepath.Join(c.dir, name+".new")
		if err := os.WriteFile(draft, []byte(value+"\n"), 0o644); err != nil {
			return fmt.Errorf("write control group: %w", err)
		}
		if err := os.Rename(draft, filepath.Join(c.cgroupDir(), name)); err != nil {
			return fmt.Errorf("write control group: %w", err)
		}
	}
	return nil
}

// cgroup returns the interface files of the limits by their names.
func (l limits) cgroup() map[string]string {
	quota, memory := "max", "max"
	if l.quota > 0 {
		quota = strconv.FormatInt(l.quota.Microseconds(), 10)
	}
	if l.memory > 0 {
		memory = strconv.FormatInt(l.memory, 10)
	}
	const defaultWeight = 100
	weight := cgroups.ConvertCPUSharesToCgroupV2Value(uint64(max(l.shares, 0)))
	if weight == 0 {
		weight = defaultWeight
	}
	return map[string]string{
		"cgroup.controllers": "cpu memory",
		"cgroup.type":        "domain",
		"cpu.max":            fmt.Sprintf("%s %d", quota, cmp.Or(l.period, defaultPeriod).Microseconds()),
		"cpu.weight":         strconv.FormatUint(weight, 10),
		"memory.high":        "max",
		"memory.max":         memory,
	}
}
