package cri

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/client-go/tools/remotecommand"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/kubelet/pkg/cri/streaming"
	utilexec "k8s.io/utils/exec"
)

// serveStreams starts the server to which the kubelet forwards exec, attach and port-forward. It listens on loopback
// only, and each address that it gives out holds a random token that works once.
func (r *Runtime) serveStreams() error {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // To take a loopback port is not to wait.
	if err != nil {
		return fmt.Errorf("listen for streams: %w", err)
	}
	cfg := streaming.DefaultConfig
	cfg.Addr = l.Addr().String()
	cfg.BaseURL = &url.URL{Scheme: "http", Host: cfg.Addr}
	server, err := streaming.NewServer(cfg, streams{r})
	if err != nil {
		_ = l.Close()
		return fmt.Errorf("make stream server: %w", err)
	}
	r.stream = &streamServer{Server: server, http: &http.Server{Handler: server}}
	r.done.Go(func() {
		if err := r.stream.(*streamServer).http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error("serve streams", "error", err)
		}
	})
	return nil
}

// streamServer serves a streaming.Server on a listener of ours, so that no other process can take its port meanwhile.
type streamServer struct {
	streaming.Server
	http *http.Server
}

func (s *streamServer) Stop() error { return s.http.Close() }

// Exec returns where to reach the command's streams.
func (r *Runtime) Exec(_ context.Context, req *runtimeapi.ExecRequest) (*runtimeapi.ExecResponse, error) {
	if _, err := r.running(req.GetContainerId()); err != nil {
		return nil, err
	}
	return r.stream.GetExec(req)
}

// Attach returns where to reach the container's own streams.
func (r *Runtime) Attach(_ context.Context, req *runtimeapi.AttachRequest) (*runtimeapi.AttachResponse, error) {
	if _, err := r.running(req.GetContainerId()); err != nil {
		return nil, err
	}
	return r.stream.GetAttach(req)
}

// PortForward returns where to reach the pod's ports.
func (r *Runtime) PortForward(_ context.Context, req *runtimeapi.PortForwardRequest) (*runtimeapi.PortForwardResponse, error) {
	s, err := r.sandbox(req.GetPodSandboxId())
	if err != nil {
		return nil, err
	}
	if _, err := s.network(); err != nil {
		return nil, err
	}
	return r.stream.GetPortForward(req)
}

// streams does what the streaming server asks for.
type streams struct{ r *Runtime }

func (s streams) Exec(ctx context.Context, id string, argv []string, in io.Reader, out, errs io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	c, err := s.r.running(id)
	if err != nil {
		return err
	}
	spec := c.execCommand(argv)
	spec.stdin, spec.tty, spec.out, spec.err = in != nil, tty, io.Discard, io.Discard
	if out != nil {
		spec.out = out
	}
	if errs != nil {
		spec.err = errs
	}
	code, err := c.run(ctx, spec, func(p *process) {
		p.resize(resize)
		p.feed(in)
	})
	if err != nil {
		return err
	}
	if code != 0 {
		return utilexec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
	}
	return nil
}

func (s streams) Attach(ctx context.Context, id string, in io.Reader, out, errs io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	c, err := s.r.running(id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	p := c.main
	c.mu.Unlock()
	var lost <-chan struct{}
	if c.log != nil {
		var o, e io.Writer
		if out != nil {
			o = out
		}
		if errs != nil {
			e = errs
		}
		at := c.log.attach(o, e)
		lost = at.reader.done
		defer func() {
			at.detach()
			select {
			case <-at.reader.done:
			case <-time.After(flushTime):
			}
		}()
	}
	if tty {
		p.resize(resize)
	}
	if in != nil && p.stdin != nil {
		go func() {
			_, _ = io.Copy(p.stdin, in)
			if c.config.StdinOnce && p.tty == nil {
				_ = p.stdin.Close()
			}
		}()
	}
	select {
	case <-c.exited:
		return nil
	case <-lost:
		return errors.New("the client does not read fast enough")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flushTime bounds how long the last output of a container may take to reach an attached client.
const flushTime = 5 * time.Second

// PortForward connects the stream with a port of the pod, dialled from inside the pod.
func (s streams) PortForward(ctx context.Context, id string, port int32, stream io.ReadWriteCloser) error {
	box, err := s.r.sandbox(id)
	if err != nil {
		return err
	}
	pod, err := box.network()
	if err != nil {
		return err
	}
	conn, err := pod.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return status.Errorf(codes.Unknown, "failed to execute portforward in network namespace %q: failed to connect to localhost:%d inside namespace %q: %v",
			box.id, port, box.id, err)
	}
	defer conn.Close()
	defer stream.Close()
	ended := make(chan struct{}, 2)
	go func() {
		_, _ = io.Copy(conn, stream)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		ended <- struct{}{}
	}()
	go func() {
		_, _ = io.Copy(stream, conn)
		ended <- struct{}{}
		ended <- struct{}{} // The pod has said everything: do not wait for the client.
	}()
	for range 2 {
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
