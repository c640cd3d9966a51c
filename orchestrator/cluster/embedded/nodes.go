package embedded

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/procx"
)

// CrashNode implements cluster.NodeController: the node's process and all its containers are gone at once.
func (c *Cluster) CrashNode(_ context.Context, node string) error {
	p, err := c.node(node)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.expected[p] = true
	c.mu.Unlock()
	p.kill()
	return nil
}

// HangNode implements cluster.NodeController. The containers go on running, as on a node whose kubelet hangs, but their
// network is the node's process: they are cut off.
func (c *Cluster) HangNode(_ context.Context, node string) error {
	p, err := c.node(node)
	if err != nil {
		return err
	}
	return procx.SignalGroup(p.cmd.Process.Pid, syscall.SIGSTOP)
}

// RestartNode implements cluster.NodeController.
func (c *Cluster) RestartNode(ctx context.Context, node string) error {
	p, err := c.node(node)
	if err != nil {
		return err
	}
	select {
	case <-p.exited:
	default:
		return procx.SignalGroup(p.cmd.Process.Pid, syscall.SIGCONT)
	}
	if p, err = c.launch(node); err != nil {
		return err
	}
	return p.waitReady(ctx)
}

func (c *Cluster) node(name string) (*process, error) {
	if _, err := c.spec.Node(name); err != nil {
		return nil, errs.With(errs.Usage, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.processes[name], nil
}

// CollectLogs implements cluster.LogCollector.
func (c *Cluster) CollectLogs(_ context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make log directory: %w", err)
	}
	for _, name := range c.processNames() {
		if err := copyTail(filepath.Join(c.spec.Dir, "logs", name+".log"), filepath.Join(dir, name+".log")); err != nil {
			return fmt.Errorf("collect log of %s: %w", name, err)
		}
	}
	return nil
}

// maxLog is how much of a log is kept: its end, with a marker that says how much was cut.
const maxLog = 1 << 20

func copyTail(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if info, err := in.Stat(); err == nil && info.Size() > maxLog {
		fmt.Fprintf(out, "[%d bytes cut]\n", info.Size()-maxLog)
		if _, err := in.Seek(-maxLog, io.SeekEnd); err != nil {
			return err
		}
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}
