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

// The clocks of linux/time.h, as bits of a TimeRequest's mask.
const (
	wallClocks      = 1<<0 | 1<<5 | 1<<8               // CLOCK_REALTIME, _COARSE, _ALARM
	monotonicClocks = 1<<1 | 1<<4 | 1<<6 | 1<<7 | 1<<9 // CLOCK_MONOTONIC, _RAW, _COARSE, CLOCK_BOOTTIME, _ALARM
)

// SetTimeOffset moves the clocks of a container. The offsets of several chaos add up.
func (d *daemon) SetTimeOffset(ctx context.Context, req *pb.TimeRequest) (*emptypb.Empty, error) {
	by := time.Duration(req.GetSec())*time.Second + time.Duration(req.GetNsec())
	var off sandbox.ClockOffsets
	if req.GetClkIdsMask()&wallClocks != 0 {
		off.Wall = by
	}
	if req.GetClkIdsMask()&monotonicClocks != 0 {
		off.Monotonic = by
	}
	if off == (sandbox.ClockOffsets{}) && by != 0 {
		return nil, status.Errorf(codes.InvalidArgument,
			"clock mask %#x is not supported (CLOCK_REALTIME and CLOCK_MONOTONIC and their kind): the clocks of CPU time are the processes' own", req.GetClkIdsMask())
	}
	return d.changeClocks(ctx, req, func(all map[string]sandbox.ClockOffsets) { all[req.GetUid()] = off })
}

// RecoverTimeOffset takes back what SetTimeOffset did.
func (d *daemon) RecoverTimeOffset(ctx context.Context, req *pb.TimeRequest) (*emptypb.Empty, error) {
	return d.changeClocks(ctx, req, func(all map[string]sandbox.ClockOffsets) { delete(all, req.GetUid()) })
}

func (d *daemon) changeClocks(ctx context.Context, req *pb.TimeRequest, change func(all map[string]sandbox.ClockOffsets)) (*emptypb.Empty, error) {
	c, err := d.container(ctx, req.GetContainerId())
	if err != nil {
		return nil, err
	}
	s := d.containerState(ctx, c.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.clocks)
	var sum sandbox.ClockOffsets
	for _, off := range s.clocks {
		sum = sum.Add(off)
	}
	if err := d.cfg.Conditions.SetClocks(ctx, c.ID, sum); err != nil {
		return nil, status.Errorf(codes.Internal, "move the clocks of container %s: %v", c.ID, err)
	}
	return &emptypb.Empty{}, nil
}
