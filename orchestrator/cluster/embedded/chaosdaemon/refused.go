package chaosdaemon

import (
	"context"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// noKernel is why KernelChaos is refused.
const noKernel = "KernelChaos is not supported on this cluster: it makes functions of the kernel fail, and the containers' kernel is the host's, " +
	"which is not the cluster's to change; IOChaos with action fault gives file operations an error such as EIO or ENOMEM"

// noJVM is why JVMChaos is refused.
const noJVM = "JVMChaos is not supported on this cluster: it installs rules in a Java virtual machine, and no container runs one"

// InstallJVMRules refuses JVMChaos.
func (d *daemon) InstallJVMRules(context.Context, *pb.InstallJVMRulesRequest) (*emptypb.Empty, error) {
	return nil, status.Error(codes.Unimplemented, noJVM)
}

// UninstallJVMRules has nothing to take back.
func (d *daemon) UninstallJVMRules(context.Context, *pb.UninstallJVMRulesRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}
