package node

import (
	"fmt"
	"net"
	"net/http"
	"reflect"
	"time"
	"unsafe"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/kubelet"
	"k8s.io/kubernetes/pkg/kubelet/pleg"
	grpcprobe "k8s.io/kubernetes/pkg/probe/grpc"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
	tcpprobe "k8s.io/kubernetes/pkg/probe/tcp"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// nodePort is the port of the kubelet on the userspace network, as the node object reports it.
const nodePort = 10250

// tune sets what the kubelet has no option for: the dialer of its probes and lifecycle hooks, the address checks that a
// userspace address would fail, and periods that are constants.
//
// The fields are private, so they are found by name. The version of Kubernetes is pinned in go.mod; a name that is gone
// after an upgrade is an error at the start and in this package's tests, never a silent difference.
func tune(k *kubelet.Kubelet, timing spec.Timing, dial dialFunc) error {
	// The kubelet refuses a node address that no interface of the host has.
	if err := setField(k, func(net.IP) error { return nil }, "nodeIPValidator"); err != nil {
		return err
	}
	// It listens on a host port that others do not see.
	endpoints, err := getField[*corev1.NodeDaemonEndpoints](k, "daemonEndpoints")
	if err != nil {
		return err
	}
	endpoints.KubeletEndpoint.Port = nodePort
	relist, err := getField[*pleg.RelistDuration](k, "pleg", "relistDuration")
	if err != nil {
		return err
	}
	relist.RelistPeriod = timing.PLEGRelist
	if err := setField(k, timing.ImagePullBackoffMax, "containerRuntime", "imagePuller", "backOff", "maxDuration"); err != nil {
		return err
	}
	initial, err := getField[time.Duration](k, "containerRuntime", "imagePuller", "backOff", "defaultDuration")
	if err != nil {
		return err
	}
	if err := setField(k, min(initial, timing.ImagePullBackoffMax), "containerRuntime", "imagePuller", "backOff", "defaultDuration"); err != nil {
		return err
	}
	if err := setField[httpprobe.Prober](k, newHTTPProber(dial), "probeManager", "prober", "http"); err != nil {
		return err
	}
	if err := setField[tcpprobe.Prober](k, tcpProber{dial}, "probeManager", "prober", "tcp"); err != nil {
		return err
	}
	if err := setField[grpcprobe.Prober](k, grpcProber{dial}, "probeManager", "prober", "grpc"); err != nil {
		return err
	}
	return tuneHooks(k, dial)
}

// tuneHooks makes httpGet lifecycle hooks dial into the userspace network.
func tuneHooks(k *kubelet.Kubelet, dial dialFunc) error {
	f, err := fieldOf(k, "containerRuntime", "runner", "httpDoer")
	if err != nil {
		return err
	}
	client, ok := f.Interface().(*http.Client)
	if !ok {
		return fmt.Errorf("tune the kubelet: its lifecycle hooks use a %T", f.Interface())
	}
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		return fmt.Errorf("tune the kubelet: its lifecycle hooks use a %T", client.Transport)
	}
	transport.DialContext = dial
	return nil
}

// fieldOf walks from the structure behind root along the named fields, through pointers and interfaces.
func fieldOf(root any, path ...string) (reflect.Value, error) {
	v := reflect.ValueOf(root)
	for _, name := range path {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || !v.CanAddr() {
			return reflect.Value{}, fmt.Errorf("tune the kubelet: no structure holds field %q of path %v", name, path)
		}
		f := v.FieldByName(name)
		if !f.IsValid() {
			return reflect.Value{}, fmt.Errorf("tune the kubelet: %s has no field %q", v.Type(), name)
		}
		v = reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
	}
	return v, nil
}

func setField[T any](root any, value T, path ...string) error {
	f, err := fieldOf(root, path...)
	if err != nil {
		return err
	}
	if want := reflect.TypeFor[T](); f.Type() != want {
		return fmt.Errorf("tune the kubelet: field %v is a %s, not a %s", path, f.Type(), want)
	}
	f.Set(reflect.ValueOf(&value).Elem())
	return nil
}

func getField[T any](root any, path ...string) (T, error) {
	var zero T
	f, err := fieldOf(root, path...)
	if err != nil {
		return zero, err
	}
	got, ok := f.Interface().(T)
	if !ok {
		return zero, fmt.Errorf("tune the kubelet: field %v is a %s, not a %s", path, f.Type(), reflect.TypeFor[T]())
	}
	return got, nil
}
