package cri

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// CreateContainer makes the container's root file system and description; nothing runs yet.
func (r *Runtime) CreateContainer(_ context.Context, sandboxID string, config *runtimeapi.ContainerConfig, _ *runtimeapi.PodSandboxConfig) (string, error) {
	s, err := r.sandbox(sandboxID)
	if err != nil {
		return "", err
	}
	img, ok := r.images.local(config.GetImage().GetImage())
	if !ok {
		return "", status.Errorf(codes.NotFound, "failed to get image from containerd %q: not found", config.GetImage().GetImage())
	}
	c := r.newContainer(newID(), s, config, img, r.clock.Now().UnixNano())
	if err := c.prepare(); err != nil {
		_ = os.RemoveAll(c.dir)
		return "", fmt.Errorf("failed to create containerd container: %w", err)
	}
	if err := r.store.saveContainer(c, c.st); err != nil {
		return "", err
	}
	r.mu.Lock()
	r.containers[c.id] = c
	r.mu.Unlock()
	return c.id, nil
}

// StartContainer starts the container's process.
func (r *Runtime) StartContainer(_ context.Context, id string) error {
	c, err := r.container(id)
	if err != nil {
		return err
	}
	r.mu.RLock()
	closed := r.closed
	r.mu.RUnlock()
	if closed {
		return status.Error(codes.Unavailable, "the container runtime is stopping")
	}
	return c.start()
}

// StopContainer sends SIGTERM and, when the container still runs timeout seconds later, SIGKILL.
func (r *Runtime) StopContainer(ctx context.Context, id string, timeout int64) error {
	c, err := r.container(id)
	if err != nil {
		return nil //nolint:nilerr // A container that is gone has stopped.
	}
	return c.stop(ctx, time.Duration(timeout)*time.Second)
}

// RemoveContainer removes the container with its root file system; it is killed when it still runs.
func (r *Runtime) RemoveContainer(ctx context.Context, id string) error {
	c, err := r.container(id)
	if err != nil {
		return nil //nolint:nilerr // A container that is gone is removed.
	}
	if err := c.stop(ctx, 0); err != nil {
		return err
	}
	r.mu.Lock()
	delete(r.containers, c.id)
	r.mu.Unlock()
	r.store.remove(c.id)
	r.spent.retire(&c.meter)
	if c.log != nil {
		c.log.close()
	}
	return os.RemoveAll(c.dir)
}

// ListContainers lists containers of every state that match the filter.
func (r *Runtime) ListContainers(_ context.Context, f *runtimeapi.ContainerFilter) ([]*runtimeapi.Container, error) {
	var out []*runtimeapi.Container
	for _, c := range r.snapshotContainers() {
		st := c.state()
		if f != nil && (!idMatches(c.id, f.Id) || !idMatches(c.sandbox.id, f.PodSandboxId) ||
			f.State != nil && f.State.State != st.State || !labelsMatch(c.config.Labels, f.LabelSelector)) {
			continue
		}
		out = append(out, &runtimeapi.Container{
			Id: c.id, PodSandboxId: c.sandbox.id, Metadata: c.config.Metadata, Image: c.config.Image,
			ImageRef: c.image.Digest, ImageId: c.image.Digest, State: st.State, CreatedAt: c.createdAt,
			Labels: c.config.Labels, Annotations: c.config.Annotations,
		})
	}
	slices.SortFunc(out, func(a, b *runtimeapi.Container) int { return strings.Compare(a.Id, b.Id) })
	return out, nil
}

// ContainerStatus reports the container.
func (r *Runtime) ContainerStatus(_ context.Context, id string, _ bool) (*runtimeapi.ContainerStatusResponse, error) {
	c, err := r.container(id)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	st, lim := c.st, c.limits
	c.mu.Unlock()
	out := &runtimeapi.ContainerStatus{
		Id: c.id, Metadata: c.config.Metadata, State: st.State, CreatedAt: c.createdAt, StartedAt: st.StartedAt,
		FinishedAt: st.FinishedAt, ExitCode: st.ExitCode, Reason: st.Reason, Message: st.Message,
		Image: &runtimeapi.ImageSpec{Image: c.image.Ref()}, ImageRef: c.image.Repository + "@" + c.image.Digest,
		ImageId: c.image.Digest, Labels: c.config.Labels, Annotations: c.config.Annotations, Mounts: c.config.Mounts, User: criUser(c.user()),
		Resources: &runtimeapi.ContainerResources{Linux: lim.cri()},
	}
	if c.log != nil {
		out.LogPath = c.log.path
	}
	return &runtimeapi.ContainerStatusResponse{Status: out}, nil
}

// UpdateContainerResources changes the limits of a container; they hold from now on, or from its start.
func (r *Runtime) UpdateContainerResources(_ context.Context, id string, res *runtimeapi.ContainerResources) error {
	c, err := r.container(id)
	if err != nil {
		return err
	}
	if res.GetLinux() == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = c.limits.updated(res.Linux)
	if err := c.writeCgroup(); err != nil {
		return err
	}
	if c.st.State == runtimeapi.ContainerState_CONTAINER_RUNNING {
		r.governor.ask(c)
	}
	return nil
}

// ReopenContainerLog opens the log file anew after the kubelet has moved it.
func (r *Runtime) ReopenContainerLog(_ context.Context, id string) error {
	c, err := r.container(id)
	if err != nil {
		return err
	}
	if c.state().State != runtimeapi.ContainerState_CONTAINER_RUNNING {
		return status.Errorf(codes.FailedPrecondition, "container %q is not running", id)
	}
	if c.log == nil {
		return nil
	}
	return c.log.reopen()
}

// CheckpointContainer is not offered.
func (r *Runtime) CheckpointContainer(context.Context, *runtimeapi.CheckpointContainerRequest) error {
	return status.Error(codes.Unimplemented, "checkpoints are not supported")
}

// GetContainerEvents is not offered: the kubelet lists.
func (r *Runtime) GetContainerEvents(context.Context, chan *runtimeapi.ContainerEventResponse, func(runtimeapi.RuntimeService_GetContainerEventsClient)) error {
	return status.Error(codes.Unimplemented, "container events are not supported")
}

func (r *Runtime) container(id string) (*container, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if c, ok := r.containers[id]; ok {
		return c, nil
	}
	return nil, status.Errorf(codes.NotFound, "an error occurred when try to find container %q: not found", id)
}
