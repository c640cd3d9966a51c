package recipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gameday-bench/gameday/hack/kindnode/internal/command"
)

// store is a containerd that runs on this machine to fill a directory with images.
type store struct {
	ctr    string
	socket string
	// state is its temporary directory. Paths of sockets are short, so it is not in the result's.
	state   string
	process *exec.Cmd
	log     *os.File
	exited  chan error
}

// startStore starts the containerd in bin, which keeps its images in dir, and waits until it answers.
func startStore(ctx context.Context, bin, dir string) (*store, error) {
	state, err := os.MkdirTemp("", "kindnode-")
	if err != nil {
		return nil, fmt.Errorf("make containerd's directory: %w", err)
	}
	s := &store{ctr: filepath.Join(bin, "ctr"), socket: filepath.Join(state, "s"), state: state, exited: make(chan error, 1)}
	if err := s.start(filepath.Join(bin, "containerd"), dir); err != nil {
		return nil, errors.Join(fmt.Errorf("start containerd: %w", err), s.clean())
	}
	if err := s.wait(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for containerd: %w", err), s.stop())
	}
	return s, nil
}

// configuration keeps containerd to its own directories, without what runs containers.
const configuration = `version = 4
root = %q
state = %q
disabled_plugins = [
  "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt",
  "io.containerd.nri.v1.nri", "io.containerd.podsandbox.controller.v1.podsandbox",
]

[plugins."io.containerd.server.v1.grpc"]
  address = %q

[plugins."io.containerd.server.v1.ttrpc"]
  address = %q
`

func (s *store) start(program, dir string) error {
	config := filepath.Join(s.state, "config.toml")
	text := fmt.Sprintf(configuration, dir, filepath.Join(s.state, "state"), s.socket, s.socket+".ttrpc")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.state, "log"))
	if err != nil {
		return err
	}
	s.log = log
	// It is ended by stop, also when the work is interrupted: it has to close its database.
	s.process = exec.Command(program, "--config", config) //nolint:noctx // See above.
	s.process.Stdout, s.process.Stderr = log, log
	// An interrupt at the terminal is for this program, which then stops it.
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.process.Start(); err != nil {
		return err
	}
	go func() { s.exited <- s.process.Wait() }()
	return nil
}

// wait returns when containerd answers, or with what it said when it does not.
func (s *store) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-s.exited:
			s.exited <- err // For stop.
			if err == nil {
				err = errors.New("exit status 0")
			}
			return fmt.Errorf("it ended: %w; it said:\n%s", err, s.said())
		case <-ctx.Done():
			return fmt.Errorf("%w; it said:\n%s", context.Cause(ctx), s.said())
		case <-tick.C:
		}
		if _, err := os.Stat(s.socket); err != nil {
			continue
		}
		if _, err := s.run(ctx, nil, "version"); err == nil {
			return nil
		}
	}
}

// said is the end of containerd's log.
func (s *store) said() string {
	data, err := os.ReadFile(filepath.Join(s.state, "log"))
	if err != nil {
		return err.Error()
	}
	const shown = 15
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-shown):], "\n")
}

func (s *store) run(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	return command.Run(ctx, command.Cmd{
		Name: s.ctr, Args: append([]string{"--address", s.socket, "--namespace", "k8s.io"}, args...), Stdin: stdin,
	})
}

// load imports an archive as kind's own build does: pinned, so that a kubelet that runs out of disk does not remove what it cannot get
// again, and not unpacked.
func (s *store) load(ctx context.Context, archive io.Reader) error {
	if _, err := s.run(ctx, archive, "images", "import", "--label=io.cri-containerd.pinned=pinned", "--all-platforms", "--no-unpack", "--digests",
		"-"); err != nil {
		return fmt.Errorf("load images: %w", err)
	}
	return nil
}

// list returns the names of the images in the store.
func (s *store) list(ctx context.Context) ([]string, error) {
	out, err := s.run(ctx, nil, "images", "list", "-q")
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// stop ends containerd and removes its temporary directory. The images stay.
func (s *store) stop() error {
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(fmt.Errorf("stop containerd: %w", err), s.clean())
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-s.exited:
		// Its exit code says nothing after a signal. What it wrote is checked by list.
		return s.clean()
	case <-timeout.C:
		err := s.process.Process.Kill()
		<-s.exited
		return errors.Join(errors.New("stop containerd: it did not end in time, and was killed"), err, s.clean())
	}
}

func (s *store) clean() error {
	if s.log != nil {
		if err := s.log.Close(); err != nil {
			return err
		}
	}
	return os.RemoveAll(s.state)
}
