package chaosdaemon

import (
	"context"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// ContainerKill kills a container; the kubelet then does what the pod's restart policy says.
func (d *daemon) ContainerKill(ctx context.Context, req *pb.ContainerRequest) (*emptypb.Empty, error) {
	if action := req.GetAction().GetAction(); action != pb.ContainerAction_KILL {
		return nil, status.Errorf(codes.InvalidArgument, "container action is %s, not KILL", action)
	}
	c, err := d.container(ctx, req.GetContainerId())
	if err != nil {
		return nil, err
	}
	if err := d.cfg.Runtime.Kill(ctx, c.ID); err != nil {
		return nil, status.Errorf(codes.Internal, "kill container %s: %v", c.ID, err)
	}
	return &emptypb.Empty{}, nil
}

// ContainerGetPid returns the host process of a container.
func (d *daemon) ContainerGetPid(ctx context.Context, req *pb.ContainerRequest) (*pb.ContainerResponse, error) {
	if action := req.GetAction().GetAction(); action != pb.ContainerAction_GETPID {
		return nil, status.Errorf(codes.InvalidArgument, "container action is %s, not GETPID", action)
	}
	// Only KernelChaos asks, and gives the container's name for its id.
	if _, err := bareID(req.GetContainerId()); err != nil {
		return nil, status.Error(codes.Unimplemented, noKernel)
	}
	c, err := d.container(ctx, req.GetContainerId())
	if err != nil {
		return nil, err
	}
	return &pb.ContainerResponse{Pid: uint32(c.PID)}, nil
}
