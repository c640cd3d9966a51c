package cri

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	criclient "k8s.io/cri-client/pkg"
	utilexec "k8s.io/utils/exec"
)

func TestExecSync(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	id := f.start(nil, "graceful")
	out, errs, err := f.ExecSync(ctx, id, []string{"print", "hi"}, time.Minute)
	require.NoError(t, err)
	require.Equal(t, "hi\n", string(out))
	require.Equal(t, "to stderr\n", string(errs))

	_, _, err = f.ExecSync(ctx, id, []string{"exit", "9"}, 0)
	var code utilexec.CodeExitError
	require.ErrorAs(t, err, &code)
	require.Equal(t, 9, code.Code)

	_, _, err = f.ExecSync(ctx, id, []string{"sleep"}, 300*time.Millisecond)
	require.ErrorIs(t, err, criclient.ErrCommandTimedOut)
	c, err := f.container(id)
	require.NoError(t, err)
	c.mu.Lock()
	require.Len(t, c.procs, 1, "what timed out is gone")
	c.mu.Unlock()

	require.NoError(t, f.StopContainer(ctx, id, 5))
	_, _, err = f.ExecSync(ctx, id, []string{"print"}, 0)
	require.ErrorContains(t, err, "CONTAINER_EXITED")
}

func TestExecEndsWithItsContainer(t *testing.T) {
	f := newFixture(t)
	id := f.start(nil, "graceful")
	f.logged(id, "started")
	ended := make(chan int, 1)
	go func() {
		code, _ := f.RunIn(context.Background(), id, []string{"stubborn"}, nil, nil, nil)
		ended <- code
	}()
	c, err := f.container(id)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.procs) == 2
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, f.Signal(id, syscall.SIGTERM))
	require.Equal(t, 137, <-ended)
	require.Equal(t, "Completed", f.ended(id).Reason)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func TestStreamingExec(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	id := f.start(nil, "graceful")
	var out, errs bytes.Buffer
	err := streams{f.Runtime}.Exec(ctx, id, []string{"cat"}, strings.NewReader("a\nb\n"), nopCloser{&out}, nopCloser{&errs}, false, nil)
	require.NoError(t, err)
	require.Equal(t, "got a\ngot b\n", out.String())

	out.Reset()
	err = streams{f.Runtime}.Exec(ctx, id, []string{"cat"}, strings.NewReader("a\n"), nopCloser{&out}, nil, true, nil)
	require.NoError(t, err)
	require.Contains(t, out.String(), "got a\r\n", "a terminal turns line feeds into both")

	resp, err := f.Exec(ctx, &runtimeapi.ExecRequest{ContainerId: id, Cmd: []string{"print"}, Stdout: true})
	require.NoError(t, err)
	require.Regexp(t, `^http://127\.0\.0\.1:\d+/exec/\S+$`, resp.Url)
}

// stuck is a client that never reads.
type stuck struct{ release chan struct{} }

func (s stuck) Write([]byte) (int, error) { <-s.release; return 0, io.ErrClosedPipe }
func (stuck) Close() error                { return nil }

func TestAttach(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	id := f.start(func(c *runtimeapi.ContainerConfig) { c.Stdin, c.StdinOnce = true, true }, "cat")
	var out, errs bytes.Buffer
	require.NoError(t, streams{f.Runtime}.Attach(ctx, id, strings.NewReader("a\nb\n"), nopCloser{&out}, nopCloser{&errs}, false, nil))
	require.Equal(t, "got a\ngot b\n", out.String())
	require.Equal(t, int32(0), f.ended(id).ExitCode)

	// A client that does not read holds nothing up.
	id = f.start(func(c *runtimeapi.ContainerConfig) { c.Stdin, c.StdinOnce = true, true }, "cat")
	client := stuck{make(chan struct{})}
	defer close(client.release)
	err := streams{f.Runtime}.Attach(ctx, id, strings.NewReader(strings.Repeat("line\n", 5000)), client, nil, false, nil)
	if err != nil {
		require.ErrorContains(t, err, "does not read fast enough")
	}
	require.Equal(t, int32(0), f.ended(id).ExitCode)
	require.Equal(t, 5000, strings.Count(f.logged(id, "got"), "stdout F got line"))
}

// A container that waits for its one client keeps for it what it writes before the client comes, so that a short command
// never seems to have said nothing.
func TestAttachFirstClient(t *testing.T) {
	for name, c := range map[string]struct {
		once        bool
		args        []string
		first, next string
	}{
		"waits for one client":  {true, []string{"graceful"}, "started\nterminated\n", "terminated\n"},
		"waits for no client":   {false, []string{"graceful"}, "terminated\n", "terminated\n"},
		"writes more than that": {true, []string{"chatty", "1", "5000"}, "terminated\n", "terminated\n"},
		"writes often":          {true, []string{"chatty", "600", "1"}, strings.Repeat("x\n", 600) + "started\nterminated\n", "terminated\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			id := f.start(func(cfg *runtimeapi.ContainerConfig) { cfg.Stdin, cfg.StdinOnce = true, c.once }, c.args...)
			f.logged(id, "started")
			attach := func() (*bytes.Buffer, <-chan error) {
				var out bytes.Buffer
				in, came := silent(t)
				done := make(chan error, 1)
				go func() {
					done <- streams{f.Runtime}.Attach(context.Background(), id, in, nopCloser{&out}, nil, false, nil)
				}()
				<-came
				return &out, done
			}
			first, firstDone := attach()
			next, nextDone := attach()
			require.NoError(t, f.StopContainer(context.Background(), id, 20))
			require.NoError(t, <-firstDone)
			require.NoError(t, <-nextDone)
			require.Equal(t, c.first, first.String())
			require.Equal(t, c.next, next.String())
		})
	}
}

// silent is an input that says nothing until the test ends. came is closed when it is asked for the first time, which is
// when the client is attached.
func silent(t *testing.T) (in io.Reader, came <-chan struct{}) {
	asked := make(chan struct{})
	once := sync.OnceFunc(func() { close(asked) })
	return readerFunc(func([]byte) (int, error) {
		once()
		<-t.Context().Done()
		return 0, io.EOF
	}), asked
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestPortForward(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	pod := f.pod()
	client, mine := net.Pipe()
	err := streams{f.Runtime}.PortForward(ctx, pod, 8080, mine)
	require.ErrorContains(t, err, "failed to connect to localhost:8080")

	f.network.pods[pod].dial = func(_ context.Context, network, address string) (net.Conn, error) {
		require.Equal(t, "127.0.0.1:8080", address)
		near, far := net.Pipe()
		go func() {
			_, _ = io.Copy(far, io.LimitReader(far, 4))
			_ = far.Close()
		}()
		return near, nil
	}
	done := make(chan error, 1)
	go func() { done <- streams{f.Runtime}.PortForward(ctx, pod, 8080, mine) }()
	_, err = client.Write([]byte("ping"))
	require.NoError(t, err)
	got, err := io.ReadAll(client)
	require.NoError(t, err)
	require.Equal(t, "ping", string(got))
	require.NoError(t, <-done)
}
