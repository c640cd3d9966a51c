package chaosdaemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// backupSuffix is what the original resolv.conf is kept as, beside the file that the container sees.
const backupSuffix = ".chaos.bak"

// SetDNSServer points the resolver of a container at another DNS server, or back. The file is rewritten in place: it is
// mounted into the container. Its search list and options stay.
func (d *daemon) SetDNSServer(ctx context.Context, req *pb.SetDNSServerRequest) (*emptypb.Empty, error) {
	c, err := d.container(ctx, req.GetContainerId())
	if err != nil {
		return nil, err
	}
	server := req.GetDnsServer()
	if req.GetEnable() {
		// The controllers name cluster DNS, which knows nothing of their rules: the node's own resolver does.
		if d.cfg.DNS != (DNS{}) {
			server = d.cfg.DNS.Listen.Addr().String()
		}
		if _, err := netip.ParseAddr(server); err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "invalid DNS server address: %v", err)
		}
		err = divertResolver(c.ResolvConf, server)
	} else {
		err = restoreResolver(c.ResolvConf)
	}
	if err != nil {
		return nil, status.Errorf(codes.Internal, "set the DNS server of container %s: %v", c.ID, err)
	}
	return &emptypb.Empty{}, nil
}

func divertResolver(path, server string) error {
	current, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read resolver configuration: %w", err)
	}
	if _, err := os.Stat(path + backupSuffix); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(path+backupSuffix, current, 0o644); err != nil {
			return fmt.Errorf("keep resolver configuration: %w", err)
		}
	}
	var out strings.Builder
	for line := range strings.Lines(string(current)) {
		if strings.Contains(line, "nameserver") {
			line = "nameserver " + server + "\n"
		}
		out.WriteString(line)
	}
	return overwrite(path, []byte(out.String()))
}

func restoreResolver(path string) error {
	original, err := os.ReadFile(path + backupSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read kept resolver configuration: %w", err)
	}
	if err := overwrite(path, original); err != nil {
		return err
	}
	if err := os.Remove(path + backupSuffix); err != nil {
		return fmt.Errorf("remove kept resolver configuration: %w", err)
	}
	return nil
}

// overwrite keeps the file's inode, which the container has mounted.
func overwrite(path string, data []byte) error {
	if current, err := os.ReadFile(path); err == nil && bytes.Equal(current, data) {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("open resolver configuration: %w", err)
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
