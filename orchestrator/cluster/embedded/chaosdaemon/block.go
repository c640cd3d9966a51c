package chaosdaemon

import (
	"context"
	"time"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// blockMethods are the file operations that a volume without a cache in front of it takes to its device.
var blockMethods = []string{"read", "write", "fsync"}

// ApplyBlockChaos delays the I/O of a container's volume. There is no block device below it: the volume's files are as
// slow as if every read and write went to one.
func (d *daemon) ApplyBlockChaos(ctx context.Context, req *pb.ApplyBlockChaosRequest) (*pb.ApplyBlockChaosResponse, error) {
	if req.GetAction() != pb.ApplyBlockChaosRequest_Delay {
		return nil, status.Errorf(codes.InvalidArgument, "block action %s is not supported (only Delay)", req.GetAction())
	}
	c, err := d.container(ctx, req.GetContainerId())
	if err != nil {
		return nil, err
	}
	mounts, err := d.cfg.Conditions.Mounts(ctx, c.ID, req.GetVolumePath())
	if err != nil || len(mounts) == 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "find the volume at %s in container %s: it is not mounted there (%v)", req.GetVolumePath(), c.ID, err)
	}
	var rules []sandbox.FileRule
	for _, mount := range mounts {
		rules = append(rules, sandbox.FileRule{
			Volume: mount, Methods: blockMethods, Percent: 100,
			Latency: time.Duration(req.GetDelay().GetDelay()), Jitter: time.Duration(req.GetDelay().GetJitter()),
		})
	}
	d.mu.Lock()
	d.injections++
	injection := d.injections
	d.mu.Unlock()
	s := d.containerState(ctx, c.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks[injection] = rules
	if err := d.applyFiles(ctx, c.ID, s); err != nil {
		delete(s.blocks, injection)
		return nil, err
	}
	return &pb.ApplyBlockChaosResponse{InjectionId: injection}, nil
}

// RecoverBlockChaos takes an injection back. One that is not known has ended with its container.
func (d *daemon) RecoverBlockChaos(ctx context.Context, req *pb.RecoverBlockChaosRequest) (*emptypb.Empty, error) {
	d.mu.Lock()
	states := make(map[string]*containerState, len(d.containers))
	for id, s := range d.containers {
		states[id] = s
	}
	d.mu.Unlock()
	for id, s := range states {
		if err := d.recoverBlock(ctx, id, s, req.GetInjectionId()); err != nil && d.runs(ctx, id) {
			return nil, err
		}
	}
	return &emptypb.Empty{}, nil
}

func (d *daemon) recoverBlock(ctx context.Context, id string, s *containerState, injection int32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	rules, ok := s.blocks[injection]
	if !ok {
		return nil
	}
	delete(s.blocks, injection)
	if err := d.applyFiles(ctx, id, s); err != nil {
		s.blocks[injection] = rules
		return err
	}
	return nil
}
