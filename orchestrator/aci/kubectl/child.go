package kubectl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"

	"github.com/gameday-bench/gameday/internal/procx"
)

// childVariable in its environment makes an executable that calls ServeChild run one command and end.
const childVariable = "GAMEDAY_KUBECTL_CHILD"

// What a child may take, beyond what it has when it begins. Its memory is what it can write to (RLIMIT_DATA, getrlimit(2)); the
// garbage collector does what it can before that.
const (
	childMemory    = 1 << 30
	childHeap      = "640MiB"
	childProcessor = 20 * time.Second
	// childAnswer is how long its answer may be: two outputs in JSON.
	childAnswer = 64 << 20
	// childGrace is how much longer than its command a child may live.
	childGrace = 5 * time.Second
)

// serving is set in an executable that can be its own child.
var serving atomic.Bool

// ServeChild is to be called first in main by an executable that runs commands of agents. Commands that may take more time or
// memory than can be told then run in a child, which is this executable again, with limits that the kernel holds; ServeChild does
// not return there. Where it was not called, as in most tests, every command runs in the process.
func ServeChild() {
	if os.Getenv(childVariable) == "" {
		serving.Store(true)
		return
	}
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// request is what a child reads from its standard input: the connection and the command.
type request struct {
	Host, Token          string
	CA                   []byte
	Namespace, Workspace string
	Argv                 []string
	Stdin                string
	Timeout              time.Duration
}

// serve runs one command and writes its Output.
func serve(in io.Reader, out io.Writer) error {
	if err := limit(); err != nil {
		return err
	}
	var r request
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	config := &rest.Config{Host: r.Host, BearerToken: r.Token, TLSClientConfig: rest.TLSClientConfig{CAData: r.CA}, QPS: -1, UserAgent: "kubectl"}
	k, err := New(Direct{config}, r.Namespace, r.Workspace)
	if err != nil {
		return err
	}
	output := k.Run(context.Background(), Command{Argv: r.Argv, Stdin: r.Stdin, Timeout: r.Timeout})
	if err := json.NewEncoder(out).Encode(output); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// limit limits this process for good.
func limit() error {
	has, err := dataSize()
	if err != nil {
		return fmt.Errorf("read size of memory: %w", err)
	}
	seconds := uint64(childProcessor / time.Second)
	for resource, most := range map[int]uint64{unix.RLIMIT_DATA: has + childMemory, unix.RLIMIT_CPU: seconds, unix.RLIMIT_CORE: 0} {
		// At the hard limit of processor time the kernel kills; at the soft one it sends a signal, which Go ignores.
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("limit resource %d to %d: %w", resource, most, err)
		}
	}
	return nil
}

// dataSize is how many bytes this process can write to: a race detector has terabytes, which it hardly uses.
func dataSize() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if size, ok := strings.CutPrefix(line, "VmData:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(size), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("the kernel does not say")
}

// inChild runs a command in a child, one of this Kubectl at a time. The command has timeout to end.
func (k *Kubectl) inChild(ctx context.Context, argv []string, stdin string, timeout time.Duration) Output {
	select {
	case k.child <- struct{}{}:
		defer func() { <-k.child }()
	case <-ctx.Done():
		return failure("error: the command was cancelled")
	}
	bounded, cancel := context.WithTimeout(ctx, timeout+childGrace)
	defer cancel()
	config, end := k.access.Scoped(bounded)
	defer end()
	input, err := json.Marshal(request{
		Host: config.Host, Token: config.BearerToken, CA: config.CAData, Namespace: k.namespace, Workspace: k.workspace,
		Argv: argv, Stdin: stdin, Timeout: timeout,
	})
	if err != nil {
		return failure("error: %v", err)
	}
	// The link leads to this very executable, also after a new one has taken its place.
	cmd := exec.Command("/proc/self/exe") //nolint:noctx // It is killed with its group, below.
	cmd.Args = os.Args[:1]
	cmd.Env = []string{childVariable + "=1", "GOMEMLIMIT=" + childHeap, "GOMAXPROCS=1", "GOTRACEBACK=none", "TMPDIR=" + k.workspace}
	cmd.Dir = k.workspace
	answer, complaint := &limitedBuffer{most: childAnswer}, &limitedBuffer{most: 4 << 10}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), answer, complaint
	if err := procx.Start(cmd); err != nil {
		return failure("error: %v", err)
	}
	stop := context.AfterFunc(bounded, func() { _ = procx.SignalGroup(cmd.Process.Pid, syscall.SIGKILL) })
	err = cmd.Wait()
	switch killed := !stop(); {
	case ctx.Err() != nil:
		return failure("error: the command was cancelled")
	case killed:
		return failure("error: the command was stopped after %s", timeout+childGrace)
	}
	var out Output
	if err != nil || json.Unmarshal(answer.b.Bytes(), &out) != nil {
		return failure("error: %s", broke(err, complaint.b.String()))
	}
	return out
}

// broke says why a child gave no answer.
func broke(err error, complaint string) string {
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		status, ok := ended.Sys().(syscall.WaitStatus)
		switch {
		case strings.Contains(complaint, "cannot allocate memory"), strings.Contains(complaint, "out of memory"):
			return fmt.Sprintf("the command needs more than %d MiB of memory", childMemory>>20)
		case ok && status.Signaled() && status.Signal() == syscall.SIGKILL:
			return fmt.Sprintf("the command needs more than %s of processor time, or more memory than the machine has", childProcessor)
		}
	}
	return "kubectl crashed"
}

// limitedBuffer keeps the beginning of what is written to it.
type limitedBuffer struct {
	b    bytes.Buffer
	most int
}

func (l *limitedBuffer) Write(p []byte) (int, error) {
	l.b.Write(p[:min(len(p), l.most-l.b.Len())])
	return len(p), nil
}
