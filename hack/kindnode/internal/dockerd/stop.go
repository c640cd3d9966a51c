package dockerd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/mounts"
)

// Stop ends the daemon that Start started, with its containers, and puts back what was changed on the machine since. A daemon that the
// machine has goes on; the kernel's settings are put back for it, too. Images stay, unless purge says that they are removed with everything
// else. The daemon is the one that was started, whatever the Options say of data and networks. To stop what does not run is no error. It goes
// on after a failure, and returns all of them.
func (d *Daemon) Stop(ctx context.Context, purge bool) error {
	s, err := d.load()
	if err != nil {
		return err
	}
	if s == nil {
		if purge {
			return mounts.Purge(d.Data)
		}
		return nil
	}
	d.adopt(s)
	if s.own() {
		// The directory for images and containers may be a disk of somebody's; what is mounted below it is the daemon's.
		err = errors.Join(d.end(ctx, s), mounts.Detach(d.Run), mounts.DetachBelow(d.Data), d.removeBridges(ctx, s),
			restoreFirewall(ctx, s.Firewall, d.ours))
	}
	restored, sysctls := restoreSysctls("/", s.Sysctls)
	for _, name := range restored {
		d.Log.Info("put back a setting of the kernel", "name", name, "value", s.Sysctls[name])
	}
	if err = errors.Join(err, sysctls, removeMade("/", s.Absent)); err != nil {
		return fmt.Errorf("put the machine back (what is left to do is kept in %s; stop again once the cause is gone): %w", d.Run, err)
	}
	if err := mounts.RemoveAll(d.Run); err != nil {
		return fmt.Errorf("remove the daemon's directory: %w", err)
	}
	if purge {
		return mounts.Purge(d.Data)
	}
	return nil
}

// end ends the daemon and every process that belongs to it.
func (d *Daemon) end(ctx context.Context, s *state) error {
	// Where it was never started, its process is 0, which does not run.
	alive, err := running(s.PID, s.Started)
	if err != nil {
		return err
	}
	if alive {
		// It stops its containers.
		if err := syscall.Kill(s.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop dockerd: %w", err)
		}
		if err := until(ctx, patience, func() (bool, error) {
			alive, err := running(s.PID, s.Started)
			return !alive, err
		}); err != nil {
			d.Log.Warn("dockerd did not end in time: it is killed", "error", err)
		}
	}
	// A daemon that was killed leaves containerd, and the containers with their shims.
	err = until(ctx, patience, func() (bool, error) {
		left, err := d.processes()
		if err != nil || len(left) == 0 {
			return err == nil, err
		}
		for _, p := range left {
			if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return false, fmt.Errorf("kill process %d of dockerd: %w", p.PID, err)
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("end the processes of dockerd: %w", err)
	}
	return nil
}

// processes are those of the daemon: they name its directory in their arguments.
func (d *Daemon) processes() ([]process, error) {
	all, err := processes("/proc")
	if err != nil {
		return nil, err
	}
	return belonging(all, d.Run+"/"), nil
}

// belonging chooses from all processes those of a daemon that name dir, and the containers, which are children of its shims.
func belonging(all []process, dir string) []process {
	shims := map[int]bool{}
	var out []process
	for _, p := range all {
		name, _, _ := strings.Cut(p.Command, " ")
		name = filepath.Base(name)
		shim := strings.HasPrefix(name, "containerd-shim")
		// Somebody may look at the daemon's log.
		if !shim && name != "dockerd" && name != "containerd" || !strings.Contains(p.Command, dir) {
			continue
		}
		out = append(out, p)
		shims[p.PID] = shim
	}
	for _, p := range all {
		if shims[p.Parent] {
			out = append(out, p)
		}
	}
	return out
}

// until looks again and again, until done says so, fails, or the time is over.
func until(ctx context.Context, limit time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
