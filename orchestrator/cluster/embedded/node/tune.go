package node

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/kubelet"
	"k8s.io/kubernetes/pkg/kubelet/config"
	"k8s.io/kubernetes/pkg/kubelet/pleg"
	"k8s.io/kubernetes/pkg/kubelet/pluginmanager"
	"k8s.io/kubernetes/pkg/kubelet/pluginmanager/cache"
	grpcprobe "k8s.io/kubernetes/pkg/probe/grpc"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
	tcpprobe "k8s.io/kubernetes/pkg/probe/tcp"

	"github.com/gameday-bench/gameday/internal/unexported"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// nodePort is the port of the kubelet on the userspace network, as the node object reports it.
const nodePort = 10250

// tune sets what the kubelet has no option for: the dialer of its probes and lifecycle hooks, the address checks that a
// userspace address would fail, and periods that are constants.
//
// The fields are private, so they are found by name. The version of Kubernetes is pinned in go.mod; a name that is gone
// after an upgrade is an error at the start and in this package's tests, never a silent difference.
func tune(k *kubelet.Kubelet, timing spec.Timing, dial dialFunc, g *gate) error {
	if err := tuneFields(k, timing, dial, g); err != nil {
		return fmt.Errorf("tune the kubelet: %w", err)
	}
	return nil
}

func tuneFields(k *kubelet.Kubelet, timing spec.Timing, dial dialFunc, g *gate) error {
	// The kubelet refuses a node address that no interface of the host has.
	if err := unexported.Set(k, func(net.IP) error { return nil }, "nodeIPValidator"); err != nil {
		return err
	}
	// It listens on a host port that others do not see.
	endpoints, err := unexported.Get[*corev1.NodeDaemonEndpoints](k, "daemonEndpoints")
	if err != nil {
		return err
	}
	endpoints.KubeletEndpoint.Port = nodePort
	relist, err := unexported.Get[*pleg.RelistDuration](k, "pleg", "relistDuration")
	if err != nil {
		return err
	}
	relist.RelistPeriod = timing.PLEGRelist
	if err := unexported.Set(k, timing.ImagePullBackoffMax, "containerRuntime", "imagePuller", "backOff", "maxDuration"); err != nil {
		return err
	}
	initial, err := unexported.Get[time.Duration](k, "containerRuntime", "imagePuller", "backOff", "defaultDuration")
	if err != nil {
		return err
	}
	if err := unexported.Set(k, min(initial, timing.ImagePullBackoffMax), "containerRuntime", "imagePuller", "backOff", "defaultDuration"); err != nil {
		return err
	}
	if err := unexported.Set[pluginmanager.PluginManager](k, noPlugins{}, "pluginManager"); err != nil {
		return err
	}
	if err := unexported.Set[httpprobe.Prober](k, gatedHTTP{newHTTPProber(dial), g}, "probeManager", "prober", "http"); err != nil {
		return err
	}
	if err := unexported.Set[tcpprobe.Prober](k, gatedTCP{tcpProber{dial}, g}, "probeManager", "prober", "tcp"); err != nil {
		return err
	}
	if err := unexported.Set[grpcprobe.Prober](k, gatedGRPC{grpcProber{dial}, g}, "probeManager", "prober", "grpc"); err != nil {
		return err
	}
	return tuneHooks(k, dial)
}

// tuneHooks makes httpGet lifecycle hooks dial into the userspace network.
func tuneHooks(k *kubelet.Kubelet, dial dialFunc) error {
	f, err := unexported.Field(k, "containerRuntime", "runner", "httpDoer")
	if err != nil {
		return err
	}
	client, ok := f.Interface().(*http.Client)
	if !ok {
		return fmt.Errorf("its lifecycle hooks use a %T", f.Interface())
	}
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		return fmt.Errorf("its lifecycle hooks use a %T", client.Transport)
	}
	transport.DialContext = dial
	return nil
}

// noPlugins takes the place of the manager of kubelet plugins, which watches a directory for sockets of CSI drivers and device
// plugins: no container can make a socket in the kubelet's directory, no volume plugin here speaks CSI, and device plugins register
// themselves. A watch takes an inotify instance, of which a user has 128 by default.
type noPlugins struct{}

func (noPlugins) Run(context.Context, config.SourcesReady, <-chan struct{}) {}
func (noPlugins) AddHandler(string, cache.PluginHandler)                    {}
