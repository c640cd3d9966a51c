package cri

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/client-go/tools/remotecommand"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	criclient "k8s.io/cri-client/pkg"
	utilexec "k8s.io/utils/exec"

	"github.com/gameday-bench/gameday/internal/procx"
)

// maxSyncOutput bounds what ExecSync keeps of each stream, in bytes, as containerd does.
const maxSyncOutput = 16 << 20

// ExecSync runs a command in the container and returns what it wrote. Its errors are those of the kubelet's own client:
// utilexec.CodeExitError for an exit code other than 0, criclient.ErrCommandTimedOut after timeout (0 means none).
func (r *Runtime) ExecSync(ctx context.Context, id string, argv []string, timeout time.Duration) (stdout, stderr []byte, err error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, criclient.ErrCommandTimedOut)
		defer cancel()
	}
	c, err := r.running(id)
	if err != nil {
		return nil, nil, err
	}
	out, errs := &bounded{left: maxSyncOutput}, &bounded{left: maxSyncOutput}
	spec := c.execCommand(argv)
	spec.out, spec.err = out, errs
	code, err := c.run(ctx, spec, nil)
	switch {
	case errors.Is(context.Cause(ctx), criclient.ErrCommandTimedOut):
		return nil, nil, fmt.Errorf("%w: %q timed out after %s", criclient.ErrCommandTimedOut, strings.Join(argv, " "), timeout)
	case err != nil:
		return nil, nil, err
	case code != 0:
		err = utilexec.CodeExitError{
			Err:  fmt.Errorf("command '%s' exited with %d: %s", strings.Join(argv, " "), code, errs.Bytes()),
			Code: code,
		}
	}
	return out.Bytes(), errs.Bytes(), err
}

// RunIn runs a command in the container with the given streams, each of which may be nil, and returns its exit code.
// The command is killed when ctx ends.
func (r *Runtime) RunIn(ctx context.Context, id string, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	c, err := r.running(id)
	if err != nil {
		return 0, err
	}
	spec := c.execCommand(argv)
	spec.out, spec.err, spec.stdin = orDiscard(stdout), orDiscard(stderr), stdin != nil
	return c.run(ctx, spec, func(p *process) { p.feed(stdin) })
}

// Signal sends sig to the container's main process.
func (r *Runtime) Signal(id string, sig syscall.Signal) error {
	c, err := r.running(id)
	if err != nil {
		return err
	}
	c.signal(c.main, sig) // Set once, before the container is seen to run.
	return nil
}

// running finds a container that runs.
func (r *Runtime) running(id string) (*container, error) {
	c, err := r.container(id)
	if err != nil {
		return nil, err
	}
	if st := c.state().State; st != runtimeapi.ContainerState_CONTAINER_RUNNING {
		return nil, status.Errorf(codes.FailedPrecondition, "container %q is in state %s", id, st)
	}
	return c, nil
}

// run runs one further process in the container to its end. started, when given, is called once it runs.
func (c *container) run(ctx context.Context, spec command, started func(*process)) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := c.allowTask(); err != nil {
		return 0, err
	}
	p, err := c.launch(spec)
	if err != nil {
		return 0, err
	}
	if !c.adopt(p) {
		_ = procx.SignalGroup(p.pid, syscall.SIGKILL)
	}
	if started != nil {
		started(p)
	}
	stop := context.AfterFunc(ctx, func() { c.signal(p, syscall.SIGKILL) })
	code := c.reap(p)
	stop()
	p.drain()
	return code, ctx.Err()
}

// feed carries in to the process's standard input and closes it at the end. With a terminal the end is a control
// character, as when a person types it.
func (p *process) feed(in io.Reader) {
	if in == nil || p.stdin == nil {
		return
	}
	go func() {
		_, _ = io.Copy(p.stdin, in)
		if p.tty != nil {
			_, _ = p.stdin.Write([]byte{4})
			return
		}
		_ = p.stdin.Close()
	}()
}

// resize follows the client's terminal size.
func (p *process) resize(sizes <-chan remotecommand.TerminalSize) {
	if p.tty == nil {
		return
	}
	go func() {
		for size := range sizes {
			_ = resizePTY(p.tty, size.Width, size.Height)
		}
	}()
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// bounded keeps the first bytes that are written to it and drops the rest.
type bounded struct {
	bytes.Buffer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	b.Buffer.Write(p[:n])
	return len(p), nil
}
