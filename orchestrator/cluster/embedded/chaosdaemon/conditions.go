package chaosdaemon

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// Conditions is what the daemon makes running containers live with. It is safe for concurrent use.
type Conditions interface {
	// SetClocks moves the clocks of a container away from the node's.
	SetClocks(ctx context.Context, id string, off sandbox.ClockOffsets) error
	// SetFileRules replaces what goes wrong with the files of a container; an error leaves everything as it was, and says
	// where a rule's volume is no directory of the container.
	SetFileRules(ctx context.Context, id string, rules []sandbox.FileRule) error
	// Mounts returns the container paths at which a container has a path of the node, or of a volume.
	Mounts(ctx context.Context, id, nodePath string) ([]string, error)
}

// containerState is what the daemon remembers of one container: it ends with the container, as a fault in a process's
// memory or in its mount namespace does on a real node.
type containerState struct {
	mu sync.Mutex
	// clocks are the offsets by the chaos that wants them; they add up.
	clocks map[string]sandbox.ClockOffsets
	// io are the rules of IOChaos, blocks those of BlockChaos by injection.
	io     []sandbox.FileRule
	blocks map[int32][]sandbox.FileRule
}

// containerState returns what is remembered of a running container, and forgets the containers that are gone.
func (d *daemon) containerState(ctx context.Context, id string) *containerState {
	d.mu.Lock()
	defer d.mu.Unlock()
	for known := range d.containers {
		if _, err := d.cfg.Runtime.Container(ctx, known); err != nil {
			delete(d.containers, known)
		}
	}
	s, ok := d.containers[id]
	if !ok {
		s = &containerState{clocks: map[string]sandbox.ClockOffsets{}, blocks: map[int32][]sandbox.FileRule{}}
		d.containers[id] = s
	}
	return s
}

// applyFiles gives a container the file rules of everything that is injected into it. The state is locked.
func (d *daemon) applyFiles(ctx context.Context, id string, s *containerState) error {
	rules := slices.Clone(s.io)
	for _, block := range s.blocks {
		rules = append(rules, block...)
	}
	if err := d.cfg.Conditions.SetFileRules(ctx, id, rules); err != nil {
		return status.Errorf(codes.FailedPrecondition, "change the files of container %s: %v", id, err)
	}
	return nil
}
