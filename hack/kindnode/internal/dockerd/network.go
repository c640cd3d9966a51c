package dockerd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/command"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/debian"
)

// networkBridges is how the names of the bridges of Docker's networks begin.
const networkBridges = "br-"

// link is a network interface of the machine.
type link struct {
	name     string
	prefixes []netip.Prefix
}

func links() ([]link, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var out []link
	for _, i := range all {
		l := link{name: i.Name}
		addresses, err := i.Addrs()
		if err != nil {
			continue // It has gone.
		}
		for _, a := range addresses {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				l.prefixes = append(l.prefixes, prefix)
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// conflict returns an error when an interface of the machine, other than the daemon's, has an address in its networks.
func (d *Daemon) conflict(all []link) error {
	for _, l := range all {
		if l.name == d.Bridge || d.networkBridge(l) {
			continue
		}
		for _, prefix := range l.prefixes {
			if prefix.Overlaps(d.Pool) || prefix.Overlaps(d.Address) {
				return fmt.Errorf("the machine's interface %s has %s, which the daemon would use: choose other networks with -address and -pool",
					l.name, prefix)
			}
		}
	}
	return nil
}

// networkBridge says whether an interface is the bridge of a network of the daemon.
func (d *Daemon) networkBridge(l link) bool {
	if !strings.HasPrefix(l.name, networkBridges) {
		return false
	}
	for _, prefix := range l.prefixes {
		if d.Pool.Contains(prefix.Addr()) {
			return true
		}
	}
	return false
}

// makeBridge makes the bridge of the default network, unless it is there. A daemon of its own bridge leaves the machine's docker0 alone.
func (d *Daemon) makeBridge(ctx context.Context, s *state) error {
	all, err := links()
	if err != nil {
		return err
	}
	if err := d.conflict(all); err != nil {
		return err
	}
	if _, err := net.InterfaceByName(d.Bridge); err == nil {
		return nil
	}
	s.Bridge = true
	if err := d.save(s); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"link", "add", "name", d.Bridge, "type", "bridge"}, {"address", "add", d.Address.String(), "dev", d.Bridge}, {"link", "set", d.Bridge, "up"},
	} {
		if err := ip(ctx, args...); err != nil {
			return fmt.Errorf("make bridge: %w", err)
		}
	}
	return nil
}

// removeBridges removes the bridges of the daemon's networks, and the one that was made for it. dockerd leaves them.
func (d *Daemon) removeBridges(ctx context.Context, s *state) error {
	all, err := links()
	if err != nil {
		return err
	}
	var failures []error
	for _, l := range all {
		if d.networkBridge(l) || s.Bridge && l.name == d.Bridge {
			if err := ip(ctx, "link", "delete", l.name); err != nil {
				failures = append(failures, fmt.Errorf("remove bridge: %w", err))
			}
		}
	}
	return errors.Join(failures...)
}

func ip(ctx context.Context, args ...string) error {
	program, err := debian.Look("ip")
	if err != nil {
		return err
	}
	_, err = command.Run(ctx, command.Cmd{Name: program, Args: args})
	return err
}

// lacksCapabilities says whether this process cannot pass on every capability that the kernel knows.
func lacksCapabilities() (bool, error) {
	data, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return false, fmt.Errorf("read the kernel's capabilities: %w", err)
	}
	last, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return false, fmt.Errorf("read the kernel's capabilities: %w", err)
	}
	for number := range last + 1 {
		has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(number), 0, 0, 0)
		if err != nil {
			return false, fmt.Errorf("read capability %d: %w", number, err)
		}
		if has == 0 {
			return true, nil
		}
	}
	return false, nil
}
