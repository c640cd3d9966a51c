// Package dockerd runs a Docker daemon of its own on a machine that has none running, and puts back what the daemon and the nodes in its
// containers change on the machine: kernel settings, firewall rules, bridges, mounts.
package dockerd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Options say where a daemon is, and what it may use. Zero values are replaced by Defaults.
type Options struct {
	// Run has the socket and what is known about the daemon while it runs. Paths of sockets are short: so is this one.
	Run string
	// Data has images and containers. It is kept when the daemon stops.
	Data string
	// Bridge is the interface of the default network, and Address its address with the network's prefix.
	Bridge  string
	Address netip.Prefix
	// Pool is where the addresses of other networks, such as kind's, are taken from.
	Pool netip.Prefix
	// Runtime builds the OCI runtime for a machine that lacks capabilities into a directory, and returns its path.
	Runtime func(ctx context.Context, dir string) (string, error)
	Log     *slog.Logger
}

// Defaults are used where Options say nothing.
func Defaults() Options {
	return Options{
		Run: "/run/gameday-docker", Data: "/var/lib/gameday-docker", Bridge: "gameday0",
		Address: netip.MustParsePrefix("172.31.250.1/24"), Pool: netip.MustParsePrefix("172.30.0.0/16"),
	}
}

// Daemon is the machine's Docker daemon that this project started, if any. One process at a time may start or stop it.
type Daemon struct{ Options }

// Host is the daemon's address, as DOCKER_HOST has it.
func (d *Daemon) Host() string { return "unix://" + d.socket() }

func (d *Daemon) socket() string { return filepath.Join(d.Run, "docker.sock") }

// patience is how long the daemon may take to answer, and to end with all containers.
const patience = time.Minute

// pause is the time between two looks at something that is waited for.
const pause = 100 * time.Millisecond

// state is what has to be known to put everything back. It is written before anything is changed.
type state struct {
	// PID is the daemon's process, and Started tells it from another one with the same number. A state without a process is that of a
	// machine whose own daemon is used.
	PID     int    `json:"pid,omitempty"`
	Started string `json:"started,omitempty"`
	// Sysctls are the kernel's settings before, by their paths below /proc/sys and /sys.
	Sysctls map[string]string `json:"sysctls"`
	// Firewall are the rules before, by the command that printed them; nil where the machine's own daemon is used.
	Firewall map[string]string `json:"firewall"`
	// Bridge says that the bridge was made for the daemon.
	Bridge bool `json:"bridge,omitempty"`
	// Data, Address and Pool are those of the Options that the daemon was started with.
	Data    string       `json:"data,omitempty"`
	Address netip.Prefix `json:"address,omitzero"`
	Pool    netip.Prefix `json:"pool,omitzero"`
	// Absent are directories that there were not, by their paths below the root directory.
	Absent []string `json:"absent,omitempty"`
}

// own says that the state is that of a daemon of this project.
func (s *state) own() bool { return s.Firewall != nil }

// adopt takes the daemon of a state for what it was started as, whatever was asked for this time.
func (d *Daemon) adopt(s *state) {
	if s == nil || !s.own() {
		return
	}
	d.Data = cmp.Or(s.Data, d.Data)
	d.Address = cmp.Or(s.Address, d.Address)
	d.Pool = cmp.Or(s.Pool, d.Pool)
}

func (d *Daemon) stateFile() string { return filepath.Join(d.Run, "state.json") }

// load returns the state, or nil where there is none.
func (d *Daemon) load() (*state, error) {
	data, err := os.ReadFile(d.stateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the daemon's state: %w", err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("decode the daemon's state in %s: %w", d.stateFile(), err)
	}
	return &s, nil
}

func (d *Daemon) save(s *state) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the daemon's state: %w", err)
	}
	if err := os.MkdirAll(d.Run, 0o711); err != nil {
		return fmt.Errorf("write the daemon's state: %w", err)
	}
	half := d.stateFile() + ".partial"
	if err := os.WriteFile(half, data, 0o600); err != nil {
		return fmt.Errorf("write the daemon's state: %w", err)
	}
	if err := os.Rename(half, d.stateFile()); err != nil {
		return fmt.Errorf("write the daemon's state: %w", err)
	}
	return nil
}

// Running says whether the daemon of this project runs, and where; the address is empty where it does not.
func (d *Daemon) Running() (host string, err error) {
	s, err := d.load()
	if err != nil || s == nil || s.PID == 0 {
		return "", err
	}
	alive, err := running(s.PID, s.Started)
	if err != nil || !alive {
		return "", err
	}
	return d.Host(), nil
}
