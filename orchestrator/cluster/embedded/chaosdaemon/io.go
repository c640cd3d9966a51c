package chaosdaemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// ApplyIOChaos replaces what goes wrong with the files of a container. The controllers know an injection by an instance,
// on a real node a process: here it stands for the container.
func (d *daemon) ApplyIOChaos(ctx context.Context, req *pb.ApplyIOChaosRequest) (*pb.ApplyIOChaosResponse, error) {
	var actions []v1alpha1.IOChaosAction
	if err := json.Unmarshal([]byte(req.GetActions()), &actions); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "read I/O actions: %v", err)
	}
	rules, err := fileRules(req.GetVolume(), actions)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "read I/O actions: %v", err)
	}
	c, err := d.container(ctx, req.GetContainerId())
	if err != nil && len(rules) > 0 {
		return nil, err
	}
	d.mu.Lock()
	before := d.instances[req.GetInstance()]
	delete(d.instances, req.GetInstance())
	d.mu.Unlock()
	if before != "" && before != c.ID {
		if err := d.setIO(ctx, before, nil); err != nil && d.runs(ctx, before) {
			return nil, err
		}
	}
	if c.ID == "" { // It has ended, with all that was wrong with it.
		return &pb.ApplyIOChaosResponse{}, nil
	}
	if err := d.setIO(ctx, c.ID, rules); err != nil {
		return nil, err
	}
	if len(rules) == 0 {
		return &pb.ApplyIOChaosResponse{}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.injections++
	d.instances[int64(d.injections)] = c.ID
	return &pb.ApplyIOChaosResponse{Instance: int64(d.injections), StartTime: time.Now().UnixMilli(), InstanceUid: c.ID}, nil
}

func (d *daemon) runs(ctx context.Context, id string) bool {
	_, err := d.cfg.Runtime.Container(ctx, id)
	return err == nil
}

func (d *daemon) setIO(ctx context.Context, id string, rules []sandbox.FileRule) error {
	s := d.containerState(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.io
	s.io = rules
	if err := d.applyFiles(ctx, id, s); err != nil {
		s.io = before
		return err
	}
	return nil
}

// fileRules translates the actions of IOChaos.
func fileRules(volume string, actions []v1alpha1.IOChaosAction) ([]sandbox.FileRule, error) {
	out := make([]sandbox.FileRule, 0, len(actions))
	for _, a := range actions {
		rule := sandbox.FileRule{Volume: volume, Path: a.Path, Percent: float64(a.Percent)}
		for _, m := range a.Methods {
			rule.Methods = append(rule.Methods, string(m))
		}
		switch a.Type {
		case v1alpha1.IoLatency:
			var err error
			if rule.Latency, err = time.ParseDuration(a.Latency); err != nil {
				return nil, fmt.Errorf("latency: %w", err)
			}
		case v1alpha1.IoFaults:
			for _, f := range a.Faults {
				if f.Errno == 0 {
					return nil, fmt.Errorf("fault without an errno")
				}
				rule.Faults = append(rule.Faults, sandbox.FileFault{Errno: syscall.Errno(f.Errno), Weight: int(f.Weight)})
			}
		case v1alpha1.IoAttrOverride:
			if a.AttrOverrideSpec == nil {
				return nil, fmt.Errorf("no attribute to override")
			}
			var err error
			if rule.Attributes, err = fileAttributes(a.AttrOverrideSpec); err != nil {
				return nil, err
			}
		case v1alpha1.IoMistake:
			if a.MistakeSpec == nil {
				return nil, fmt.Errorf("no mistake to make")
			}
			rule.Mistake = &sandbox.FileMistake{
				Random:         a.MistakeSpec.Filling == v1alpha1.Random,
				MaxOccurrences: int(max(1, a.MistakeSpec.MaxOccurrences)), MaxLength: int(max(1, a.MistakeSpec.MaxLength)),
			}
		default:
			return nil, fmt.Errorf("unknown action %q", a.Type)
		}
		out = append(out, rule)
	}
	return out, nil
}

// kinds are the types of files.
var kinds = map[v1alpha1.FileType]fs.FileMode{
	v1alpha1.RegularFile: 0, v1alpha1.Directory: fs.ModeDir, v1alpha1.TSymlink: fs.ModeSymlink, v1alpha1.NamedPipe: fs.ModeNamedPipe,
	v1alpha1.Socket: fs.ModeSocket, v1alpha1.BlockDevice: fs.ModeDevice, v1alpha1.CharDevice: fs.ModeDevice | fs.ModeCharDevice,
}

func fileAttributes(a *v1alpha1.AttrOverrideSpec) (*sandbox.FileAttributes, error) {
	out := &sandbox.FileAttributes{
		Ino: a.Ino, Size: a.Size, Blocks: a.Blocks, Perm: a.Perm, Nlink: a.Nlink, UID: a.UID, GID: a.GID, Rdev: a.Rdev,
		Atime: timespec(a.Atime), Mtime: timespec(a.Mtime), Ctime: timespec(a.Ctime),
	}
	if a.Kind != nil {
		kind, ok := kinds[*a.Kind]
		if !ok {
			return nil, fmt.Errorf("unknown kind of file %q", *a.Kind)
		}
		out.Kind = &kind
	}
	return out, nil
}

func timespec(t *v1alpha1.Timespec) *syscall.Timespec {
	if t == nil {
		return nil
	}
	return &syscall.Timespec{Sec: t.Sec, Nsec: t.Nsec}
}
