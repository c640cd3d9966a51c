package cri

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// SetClocks moves the clocks of a running container away from the node's; the zero offsets move them back. A container
// that is started in its place has the node's clocks again.
func (r *Runtime) SetClocks(id string, off sandbox.ClockOffsets) error {
	c, err := r.running(id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clocks = off
	return c.applyClocks(r.NodeClocks())
}

// SetNodeClocks moves the clocks of every container, of those that start later, too: the node's own clock is off. What
// SetClocks says of one container comes on top. The runtime's own records keep to the true time.
func (r *Runtime) SetNodeClocks(off sandbox.ClockOffsets) error {
	r.mu.Lock()
	r.clocks = off
	r.mu.Unlock()
	for _, c := range r.snapshotContainers() {
		c.mu.Lock()
		var err error
		if c.st.State == runtimeapi.ContainerState_CONTAINER_RUNNING {
			err = c.applyClocks(off)
		}
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// NodeClocks is what SetNodeClocks set.
func (r *Runtime) NodeClocks() sandbox.ClockOffsets {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.clocks
}

// SetFileRules replaces what goes wrong with the files of a running container. Every volume has to be a directory of
// the container.
func (r *Runtime) SetFileRules(id string, rules []sandbox.FileRule) error {
	c, err := r.running(id)
	if err != nil {
		return err
	}
	for _, rule := range rules {
		if err := c.checkVolume(rule.Volume); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	conditions, err := sandbox.CreateConditions(c.conditionsPath())
	if err != nil {
		return err
	}
	defer conditions.Close()
	return conditions.SetFileRules(rules)
}

// MountsOf returns the container paths at which a running container has a path of the node, or something below it.
func (r *Runtime) MountsOf(id, nodePath string) ([]string, error) {
	c, err := r.running(id)
	if err != nil {
		return nil, err
	}
	onHost, err := securejoin.SecureJoin(r.cfg.HostPathDir, nodePath)
	if err != nil {
		return nil, fmt.Errorf("resolve path of the node: %w", err)
	}
	if onHost, err = filepath.EvalSymlinks(onHost); err != nil {
		return nil, fmt.Errorf("resolve path of the node: %w", err)
	}
	var out []string
	for _, m := range c.config.Mounts {
		source, _, err := c.source(m.HostPath)
		if err != nil {
			return nil, err
		}
		if source, err = filepath.EvalSymlinks(source); err == nil && below(source, onHost) {
			out = append(out, m.ContainerPath)
		}
	}
	return out, nil
}

func (c *container) conditionsPath() string { return filepath.Join(c.dir, "conditions") }

// applyClocks tells the container's processes how far their clocks are off. The caller holds c.mu.
func (c *container) applyClocks(node sandbox.ClockOffsets) error {
	conditions, err := sandbox.CreateConditions(c.conditionsPath())
	if err != nil {
		return err
	}
	defer conditions.Close()
	conditions.SetClocks(node.Add(c.clocks))
	return nil
}

// checkVolume says whether a container path is a directory that the node knows of: a mount, or one of the root's.
func (c *container) checkVolume(volume string) error {
	volume = path.Clean("/" + volume)
	for _, m := range c.config.Mounts {
		if path.Clean("/"+m.ContainerPath) == volume {
			return nil
		}
	}
	root, err := os.OpenRoot(c.rootDir())
	if err != nil {
		return status.Errorf(codes.Internal, "open root of container %q: %v", c.id, err)
	}
	defer root.Close()
	info, err := root.Stat(strings.TrimPrefix(volume+"/.", "/"))
	if err != nil || !info.IsDir() {
		return status.Errorf(codes.FailedPrecondition, "%s is neither a mount nor a directory of container %q", volume, c.id)
	}
	return nil
}
