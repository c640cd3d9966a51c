// Package cluster is the seam to where trials run: a Provider brings up a Cluster. What only some clusters can do is a
// capability, found by type assertion.
package cluster

import (
	"context"
	"time"

	"k8s.io/client-go/rest"
)

// Provider brings up clusters of one kind, for example embedded.
type Provider interface {
	// Up brings up the cluster that spec describes and returns when it is usable: API server ready, nodes Ready, Chaos Mesh
	// working. On error nothing is left behind. The cluster lives until Down, or until this process dies.
	Up(ctx context.Context, spec Spec) (Cluster, error)
}

// Spec is what can be asked of any cluster. Zero values mean the provider's defaults.
type Spec struct {
	// Name is unique among the live clusters of one user; empty means a random one.
	Name string
	// Nodes is the number of worker nodes, all alike.
	Nodes int
	// NodeGroups are the nodes one by one, as a cluster file gives them, in place of Nodes.
	NodeGroups []NodeGroup
	// Fidelity is "fast" (short control-loop periods) or "production" (upstream's).
	Fidelity string
}

// Cluster is one live cluster. Methods are safe for concurrent use.
type Cluster interface {
	Name() string
	// RESTConfig returns an administrator's access; the caller owns the copy.
	RESTConfig() *rest.Config
	// Kubeconfig is the path of a kubeconfig file with the same access. It lives as long as the cluster.
	Kubeconfig() string
	// Done is closed when the cluster has broken down by itself; Err then says which process died and how.
	Done() <-chan struct{}
	Closer
}

// Closer ends a cluster.
type Closer interface {
	// Err is nil while the cluster is whole, else what broke it.
	Err() error
	// Down ends the cluster and removes everything it made. It is idempotent; an error names what is left behind.
	Down(ctx context.Context) error
}

// NodeController is the capability of clusters whose nodes can fail for real.
type NodeController interface {
	// CrashNode ends a node as a power cut would. The cluster stays up: the loss is the scenario's, not a breakdown.
	CrashNode(ctx context.Context, node string) error
	// RestartNode brings a crashed or hung node back.
	RestartNode(ctx context.Context, node string) error
	// HangNode stops a node without ending it.
	HangNode(ctx context.Context, node string) error
}

// KubeletController is the capability of clusters whose kubelets can fail alone, while containers go on.
type KubeletController interface {
	// StopKubelet ends the kubelet of a node: containers run on, unattended.
	StopKubelet(ctx context.Context, node string) error
	// StartKubelet starts it again; it takes over what runs.
	StartKubelet(ctx context.Context, node string) error
}

// ClockController is the capability of clusters whose nodes' clocks can be off.
type ClockController interface {
	// SetClock puts a node's clock, as its containers see it, ahead of the true time; behind where offset is negative, right
	// where it is 0.
	SetClock(ctx context.Context, node string, offset time.Duration) error
}

// DeviceController is the capability of clusters whose nodes have devices that can be sick.
type DeviceController interface {
	// SetDeviceHealth says whether a device of an extended resource works, or all of them where device is empty. Devices are
	// called by the resource's name and a number from 0, as gpu-0 of nvidia.com/gpu.
	SetDeviceHealth(ctx context.Context, node, resource, device string, healthy bool) error
}

// LogCollector is the capability of clusters that can give the logs of their own parts.
type LogCollector interface {
	// CollectLogs copies the logs of the control plane and nodes into dir.
	CollectLogs(ctx context.Context, dir string) error
}

// ImageLoader is the capability of clusters whose nodes can be given images without a registry.
type ImageLoader interface {
	// LoadImages puts the images of an archive in docker-save format on every node, under the references that the archive
	// gives them. An image that is there already is no error. Nodes that join later do not have them.
	LoadImages(ctx context.Context, archive string) error
}
