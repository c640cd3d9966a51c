package dockerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/debian"
	"github.com/gameday-bench/gameday/hack/kindnode/internal/engine"
)

// Started is what Start came to.
type Started struct {
	// Host is the address of the daemon, as DOCKER_HOST has it; empty for the one that docker finds by itself.
	Host string
	// Own says that it is the daemon of this project, and not one that the machine has.
	Own bool
}

// Start makes sure that a Docker daemon answers: one that does already, or a new one, whose packages it installs where they are missing.
// Either way it notes the kernel's settings, so that Stop puts them back. A daemon that was killed is started again with what it had, and where
// it was, whatever the Options say.
func (d *Daemon) Start(ctx context.Context) (Started, error) {
	before, err := d.load()
	if err != nil {
		return Started{}, err
	}
	d.adopt(before)
	if host, err := d.Running(); err != nil || host != "" {
		return Started{host, true}, err
	}
	if d.answers(ctx) {
		d.Log.Info("a docker daemon answers already: it is used")
		return Started{Host: os.Getenv("DOCKER_HOST")}, d.note(before)
	}
	if os.Geteuid() != 0 {
		return Started{}, errors.New("start a Docker daemon: this takes root; start the machine's own, or run as root")
	}
	if err := install(ctx); err != nil {
		return Started{}, err
	}
	s, err := d.observe(ctx, before)
	if err != nil {
		return Started{}, err
	}
	if err := d.save(s); err != nil {
		return Started{}, err
	}
	if err := d.bringUp(ctx, s); err != nil {
		// What was changed is put back also when the caller has given up.
		return Started{}, errors.Join(err, d.Stop(context.WithoutCancel(ctx), false))
	}
	return Started{d.Host(), true}, nil
}

// answers says whether the daemon that the docker command would speak to answers.
func (d *Daemon) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return engine.Engine{Program: "docker"}.Check(ctx) == nil
}

// note notes the kernel's settings for a daemon that is not ours, unless that was done.
func (d *Daemon) note(before *state) error {
	if before != nil {
		return nil
	}
	if os.Geteuid() != 0 {
		d.Log.Warn("not root: what nodes change in the kernel's settings cannot be put back")
		return nil
	}
	return d.save(&state{Sysctls: readSysctls("/"), Absent: absent("/")})
}

// observe is the state before anything is changed: the one that was noted then, where there is one.
func (d *Daemon) observe(ctx context.Context, before *state) (*state, error) {
	if before != nil && before.own() {
		before.Data, before.Address, before.Pool = d.Data, d.Address, d.Pool
		return before, nil
	}
	rules, err := readFirewall(ctx)
	if err != nil {
		return nil, err
	}
	s := &state{Sysctls: readSysctls("/"), Firewall: rules, Absent: absent("/"), Data: d.Data, Address: d.Address, Pool: d.Pool}
	if before != nil {
		s.Sysctls, s.Absent = before.Sysctls, before.Absent
	}
	return s, nil
}

// install installs what a daemon needs. On some releases the command is in a package of its own.
func install(ctx context.Context) error {
	missing := debian.Missing(
		debian.Need{Command: "dockerd", Package: "docker.io"}, debian.Need{Command: "iptables", Package: "iptables"},
		debian.Need{Command: "ip", Package: "iproute2"},
	)
	if err := debian.Install(ctx, missing); err != nil {
		return err
	}
	return debian.Install(ctx, debian.Missing(debian.Need{Command: "docker", Package: "docker-cli"}))
}

// starts is how often a daemon is started that ends before it answers, as the unit in Docker's package does it. One whose predecessor was killed
// gives containerd 15 s to take over the containers that are left, which on a busy machine are sometimes too few.
const starts = 3

// bringUp starts the daemon and waits until it answers.
func (d *Daemon) bringUp(ctx context.Context, s *state) error {
	if err := d.makeBridge(ctx, s); err != nil {
		return err
	}
	args, err := d.arguments(ctx)
	if err != nil {
		return err
	}
	return again(starts, func() error {
		exited, err := d.launch(s, args)
		if err != nil {
			return err
		}
		return d.wait(ctx, exited)
	}, d.Log)
}

// errEnded is a daemon that ended before it answered.
var errEnded = errors.New("it ended")

// again calls start until it does not fail with errEnded, at most so many times, and returns the last error.
func again(times int, start func() error, log *slog.Logger) error {
	for {
		err := start()
		if times--; times <= 0 || !errors.Is(err, errEnded) {
			return err
		}
		log.Warn("dockerd is started again", "error", err)
	}
}

// arguments are those of dockerd.
func (d *Daemon) arguments(ctx context.Context) ([]string, error) {
	// The machine's configuration is for the machine's daemon.
	config := filepath.Join(d.Run, "daemon.json")
	if err := os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
		return nil, fmt.Errorf("write dockerd's configuration: %w", err)
	}
	const networkBits = 24
	args := []string{
		"--host", d.Host(), "--config-file", config, "--data-root", filepath.Join(d.Data, "data"), "--exec-root", filepath.Join(d.Run, "exec"),
		"--pidfile", d.pidFile(), "--bridge", d.Bridge,
		"--default-address-pool", fmt.Sprintf("base=%s,size=%d", d.Pool, networkBits),
	}
	lacks, err := lacksCapabilities()
	if err != nil || !lacks {
		return args, err
	}
	d.Log.Info("this machine lacks capabilities that privileged containers ask for: they get those that there are")
	// Programs may not be run from the directory of the socket on every machine.
	if err := os.MkdirAll(d.Data, 0o711); err != nil {
		return nil, fmt.Errorf("make the daemon's directory: %w", err)
	}
	runtime, err := d.Runtime(ctx, d.Data)
	if err != nil {
		return nil, fmt.Errorf("build OCI runtime: %w", err)
	}
	return append(args, "--add-runtime", "bounded="+runtime, "--default-runtime", "bounded"), nil
}

func (d *Daemon) logFile() string { return filepath.Join(d.Run, "docker.log") }

func (d *Daemon) pidFile() string { return filepath.Join(d.Run, "docker.pid") }

// launch starts dockerd, which outlives this process, and notes it in the state. The channel says how it ended.
func (d *Daemon) launch(s *state, args []string) (<-chan error, error) {
	program, err := debian.Look("dockerd")
	if err != nil {
		return nil, fmt.Errorf("find dockerd: %w", err)
	}
	// A daemon that was killed leaves it, and dockerd ends where its number is taken: by another process, or by its own, which nobody has waited for.
	if err := os.Remove(d.pidFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the file of a daemon that was killed: %w", err)
	}
	log, err := os.OpenFile(d.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open dockerd's log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(program, args...) //nolint:noctx // It outlives this process.
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start dockerd: %w", err)
	}
	exited := make(chan error, 1)
	s.PID = cmd.Process.Pid
	// It has not been waited for, so the number is still its own.
	s.Started, err = startTime("/proc", s.PID)
	go func() { exited <- cmd.Wait() }()
	if err != nil {
		return nil, err
	}
	return exited, d.save(s)
}

// wait returns when the daemon answers.
func (d *Daemon) wait(ctx context.Context, exited <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case err := <-exited:
			if err == nil {
				err = errors.New("exit status 0")
			}
			return fmt.Errorf("start dockerd: %w: %w; the end of %s:\n%s", errEnded, err, d.logFile(), d.said())
		case <-ctx.Done():
			return fmt.Errorf("start dockerd: %w; the end of %s:\n%s", context.Cause(ctx), d.logFile(), d.said())
		case <-tick.C:
		}
		if ping(ctx, d.socket()) == nil {
			return nil
		}
	}
}

// said is the end of dockerd's log.
func (d *Daemon) said() string {
	data, err := os.ReadFile(d.logFile())
	if err != nil {
		return err.Error()
	}
	const shown = 15
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-shown):], "\n")
}

// ping asks a daemon whether it is ready.
func ping(ctx context.Context, socket string) error {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ping: %s", response.Status)
	}
	return nil
}
