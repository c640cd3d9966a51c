package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	corev1 "k8s.io/api/core/v1"
	pluginapi "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// devicePlugins are the device plugins of a node, one for each extended resource of the cluster file, by its name.
type devicePlugins map[string]*devicePlugin

// setHealth sets the health of a device, or of all of a resource when device is empty, as their plugin reports it.
func (p devicePlugins) setHealth(resource, device, health string) error {
	plugin, ok := p[resource]
	if !ok {
		return fmt.Errorf("set health of %s: the node has no such resource", resource)
	}
	return plugin.setHealth(device, health)
}

// startDevicePlugins serves a plugin for each resource and registers it with the kubelet, until ctx ends.
func startDevicePlugins(ctx context.Context, kubeletSocket string, devices map[string]int) (devicePlugins, error) {
	out := devicePlugins{}
	for i, resource := range slices.Sorted(maps.Keys(devices)) {
		p := newDevicePlugin(resource, devices[resource])
		if err := p.serve(ctx, filepath.Join(filepath.Dir(kubeletSocket), fmt.Sprintf("p%d.sock", i))); err != nil {
			return nil, err
		}
		if err := p.register(ctx, kubeletSocket, fmt.Sprintf("p%d.sock", i)); err != nil {
			return nil, err
		}
		out[resource] = p
	}
	return out, nil
}

// devicePlugin speaks Kubernetes' device plugin API for devices that do not exist: they are counted, given out and can be sick. A
// container learns which it has from a variable named after the vendor, as NVIDIA_VISIBLE_DEVICES.
type devicePlugin struct {
	pluginapi.UnimplementedDevicePluginServer
	resource string
	variable string

	mu      sync.Mutex
	devices []*pluginapi.Device // Replaced as a whole, never changed.
	changed chan struct{}       // Closed when devices has been replaced.
}

func newDevicePlugin(resource string, count int) *devicePlugin {
	vendor, _, _ := strings.Cut(resource, ".")
	p := &devicePlugin{
		resource: resource, changed: make(chan struct{}),
		variable: strings.ReplaceAll(strings.ToUpper(vendor), "-", "_") + "_VISIBLE_DEVICES",
	}
	for i := range count {
		p.devices = append(p.devices, &pluginapi.Device{ID: fmt.Sprintf("%s-%d", path.Base(resource), i), Health: pluginapi.Healthy})
	}
	return p
}

func (p *devicePlugin) serve(ctx context.Context, socket string) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("serve device plugin of %s: %w", p.resource, err)
	}
	l, err := net.Listen("unix", socket) //nolint:noctx // To make a socket is not to wait.
	if err != nil {
		return fmt.Errorf("serve device plugin of %s: %w", p.resource, err)
	}
	s := grpc.NewServer()
	pluginapi.RegisterDevicePluginServer(s, p)
	context.AfterFunc(ctx, s.Stop)
	go func() { _ = s.Serve(l) }() // It ends with ctx, or with the process.
	return nil
}

// registerTimeout bounds the registration with a kubelet that has just started.
const registerTimeout = 10 * time.Second

func (p *devicePlugin) register(ctx context.Context, kubeletSocket, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	conn, err := grpc.NewClient("unix:"+kubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("register device plugin of %s: %w", p.resource, err)
	}
	defer conn.Close()
	_, err = pluginapi.NewRegistrationClient(conn).Register(ctx, &pluginapi.RegisterRequest{
		Version: pluginapi.Version, Endpoint: endpoint, ResourceName: p.resource, Options: &pluginapi.DevicePluginOptions{},
	}, grpc.WaitForReady(true))
	if err != nil {
		return fmt.Errorf("register device plugin of %s: %w", p.resource, err)
	}
	return nil
}

func (p *devicePlugin) setHealth(device, health string) error {
	if health != pluginapi.Healthy && health != pluginapi.Unhealthy {
		return fmt.Errorf("set health of %s %s: unknown health %q", p.resource, device, health)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	next := make([]*pluginapi.Device, 0, len(p.devices))
	found := device == ""
	for _, d := range p.devices {
		if device == "" || d.ID == device {
			found = true
			d = &pluginapi.Device{ID: d.ID, Health: health}
		}
		next = append(next, d)
	}
	if !found {
		return fmt.Errorf("set health of %s: the node has no device %q", p.resource, device)
	}
	p.devices = next
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

func (p *devicePlugin) state() ([]*pluginapi.Device, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.devices, p.changed
}

// GetDevicePluginOptions implements the API: the plugin has none.
func (p *devicePlugin) GetDevicePluginOptions(context.Context, *pluginapi.Empty) (*pluginapi.DevicePluginOptions, error) {
	return &pluginapi.DevicePluginOptions{}, nil
}

// ListAndWatch implements the API: it sends all devices, and again whenever one has changed.
func (p *devicePlugin) ListAndWatch(_ *pluginapi.Empty, stream grpc.ServerStreamingServer[pluginapi.ListAndWatchResponse]) error {
	for {
		devices, changed := p.state()
		if err := stream.Send(&pluginapi.ListAndWatchResponse{Devices: devices}); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return nil
		}
	}
}

// Allocate implements the API.
func (p *devicePlugin) Allocate(_ context.Context, req *pluginapi.AllocateRequest) (*pluginapi.AllocateResponse, error) {
	out := &pluginapi.AllocateResponse{}
	for _, c := range req.ContainerRequests {
		ids := slices.Sorted(slices.Values(c.DevicesIds))
		out.ContainerResponses = append(out.ContainerResponses, &pluginapi.ContainerAllocateResponse{
			Envs: map[string]string{p.variable: strings.Join(ids, ",")},
		})
	}
	return out, nil
}

// addDevices starts the plugins of the node's devices and waits until the node object has them.
func (k *kubeletNode) addDevices(ctx context.Context) error {
	if k.manager == nil {
		return nil
	}
	var err error
	if k.devices, err = startDevicePlugins(ctx, k.cluster.DeviceSocket(k.node.Name), k.node.Devices); err != nil {
		return err
	}
	return waitForNode(ctx, k.clients.main, k.node.Name, func(n *corev1.Node) bool {
		for name, count := range k.node.Devices {
			if got := n.Status.Allocatable[corev1.ResourceName(name)]; got.Value() != int64(count) {
				return false
			}
		}
		return true
	})
}
