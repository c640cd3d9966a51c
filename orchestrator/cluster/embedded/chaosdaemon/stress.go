package chaosdaemon

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gameday-bench/gameday/internal/procx"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/chaosdaemon/stress"
)

// stressor is one running helper process.
type stressor struct {
	cmd     *exec.Cmd
	started int64 // milliseconds of the epoch, in whole seconds: that is what survives in a StressChaos' status
	exited  chan struct{}
}

func (s *stressor) kill() {
	_ = procx.SignalGroup(s.cmd.Process.Pid, syscall.SIGKILL) // one that is gone is what is wanted
	<-s.exited
}

// ExecStressors starts a CPU and a memory stressor inside a container, each where it is asked for.
func (d *daemon) ExecStressors(ctx context.Context, req *pb.ExecStressRequest) (*pb.ExecStressResponse, error) {
	if req.GetScope() != pb.ExecStressRequest_CONTAINER {
		return nil, status.Errorf(codes.InvalidArgument, "stress scope %s is not supported (only CONTAINER)", req.GetScope())
	}
	cpu, memory := strings.Fields(req.GetCpuStressors()), strings.Fields(req.GetMemoryStressors())
	for kind, args := range map[string][]string{stress.CPU: cpu, stress.Memory: memory} {
		if err := stress.Check(kind, args); len(args) > 0 && err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "read %s stressors: %v", kind, err)
		}
	}
	c, err := d.container(ctx, req.GetTarget())
	if err != nil {
		return nil, err
	}
	resp := &pb.ExecStressResponse{}
	if len(cpu) > 0 {
		pid, started, err := d.startStressor(ctx, c, append([]string{stress.CPU}, cpu...))
		if err != nil {
			return nil, status.Errorf(codes.Internal, "start cpu stressors in %s: %v", c.ID, err)
		}
		resp.CpuInstance, resp.CpuStartTime = strconv.Itoa(pid), started
	}
	if len(memory) > 0 {
		pid, started, err := d.startStressor(ctx, c, append([]string{stress.Memory}, memory...))
		if err != nil {
			if resp.GetCpuInstance() != "" {
				d.cancel(resp.GetCpuInstance(), resp.GetCpuStartTime())
			}
			return nil, status.Errorf(codes.Internal, "start memory stressors in %s: %v", c.ID, err)
		}
		resp.MemoryInstance, resp.MemoryStartTime = strconv.Itoa(pid), started
	}
	return resp, nil
}

// CancelStressors ends stressors. One that has ended already, also with its container, is no error.
func (d *daemon) CancelStressors(_ context.Context, req *pb.CancelStressRequest) (*emptypb.Empty, error) {
	for _, instance := range []string{req.GetCpuInstance(), req.GetMemoryInstance()} {
		if _, err := strconv.Atoi(instance); instance != "" && err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "read stress instance %q: want a process id", instance)
		}
	}
	d.cancel(req.GetCpuInstance(), req.GetCpuStartTime())
	d.cancel(req.GetMemoryInstance(), req.GetMemoryStartTime())
	return &emptypb.Empty{}, nil
}

func (d *daemon) cancel(instance string, started int64) {
	pid, err := strconv.Atoi(instance)
	if err != nil {
		return
	}
	d.mu.Lock()
	s, ok := d.stressors[pid]
	d.mu.Unlock()
	// The start time tells a process from a later one with the same id.
	if ok && (started == 0 || started/1000 == s.started/1000) {
		s.kill()
	}
}

// startStressor starts a helper that waits until it belongs to the container before it does anything.
func (d *daemon) startStressor(ctx context.Context, c Container, args []string) (int, int64, error) {
	if len(d.cfg.Stress) == 0 {
		return 0, 0, fmt.Errorf("no stressor program is configured")
	}
	// The stressor outlives this call, so it is not bound to ctx.
	cmd := exec.Command(d.cfg.Stress[0], append(d.cfg.Stress[1:len(d.cfg.Stress):len(d.cfg.Stress)], args...)...) //nolint:noctx // The stress lasts until it is cancelled by its own call.
	cmd.Env = []string{}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	gate, release, err := os.Pipe()
	if err != nil {
		return 0, 0, fmt.Errorf("make a start gate: %w", err)
	}
	defer release.Close()
	defer gate.Close()
	cmd.Stdin = gate
	if err := procx.Start(cmd); err != nil {
		return 0, 0, err
	}
	s := &stressor{cmd: cmd, started: time.Now().Truncate(time.Second).UnixMilli(), exited: make(chan struct{})}
	d.mu.Lock()
	d.stressors[cmd.Process.Pid] = s
	d.mu.Unlock()
	go d.reap(s, &output)
	detach, err := d.cfg.Runtime.Attach(ctx, c.ID, cmd.Process.Pid)
	if err != nil {
		s.kill()
		return 0, 0, fmt.Errorf("attach stressor: %w", err)
	}
	go func() {
		<-s.exited
		detach()
	}()
	if _, err := release.WriteString(stress.Go); err != nil {
		s.kill()
		return 0, 0, fmt.Errorf("release stressor: %w", err)
	}
	return cmd.Process.Pid, s.started, nil
}

func (d *daemon) reap(s *stressor, output *bytes.Buffer) {
	err := s.cmd.Wait()
	d.mu.Lock()
	delete(d.stressors, s.cmd.Process.Pid)
	d.mu.Unlock()
	d.cfg.Log.Info("stressor ended", "pid", s.cmd.Process.Pid, "result", err, "output", strings.TrimSpace(output.String()))
	close(s.exited)
}
