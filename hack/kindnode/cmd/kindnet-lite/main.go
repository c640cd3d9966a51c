// Command kindnet-lite makes the pod network of a kind cluster, in place of kindnetd, on every node: it configures the CNI plug-ins for the
// node's pods, routes to the pods of the other nodes, and masquerades what leaves the pod network. It knows IPv4 only, and no
// NetworkPolicy.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// node is where the root directory of the node is mounted.
const node = "/host"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("kindnet-lite cannot start", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	// kind gives the address: the Service's works only once kube-proxy does.
	if endpoint := os.Getenv("CONTROL_PLANE_ENDPOINT"); endpoint != "" {
		config.Host = "https://" + endpoint
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	n, err := newNetwork(os.Getenv("HOST_IP"), os.Getenv("POD_SUBNET"), node+"/etc/cni/net.d", onNode)
	if err != nil {
		return err
	}
	if n.mtu, err = mtuOf(n.hostIP); err != nil {
		return err
	}
	return follow(ctx, client, n)
}

// The times between two looks at everything: after one that went well, whose result somebody may have changed, and after one that failed.
const (
	checked = time.Minute
	failed  = time.Second
)

// follow keeps the network as the cluster's nodes want it, until ctx ends.
func follow(ctx context.Context, client kubernetes.Interface, n *network) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	nodes := factory.Core().V1().Nodes()
	changed := make(chan struct{}, 1)
	poke := func(any) {
		select {
		case changed <- struct{}{}:
		default: // It is going to look anyway.
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: poke, UpdateFunc: func(_, after any) { poke(after) }, DeleteFunc: poke}
	if _, err := nodes.Informer().AddEventHandler(handler); err != nil {
		return fmt.Errorf("watch nodes: %w", err)
	}
	lister := nodes.Lister()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	for ctx.Err() == nil {
		next := checked
		if err := look(ctx, lister, n); err != nil {
			slog.Error("cannot make the network", "error", err)
			next = failed
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

func look(ctx context.Context, lister corelisters.NodeLister, n *network) error {
	all, err := lister.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	return n.sync(ctx, all)
}

// onNode runs a command with the files of the node: its ip and iptables fit its kernel.
func onNode(ctx context.Context, args ...string) error {
	// env looks the command up in the node.
	cmd := exec.CommandContext(ctx, "/usr/bin/env", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: node}
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return nil
}

// mtuOf is the largest packet of the interface with an address.
func mtuOf(ip string) (int, error) {
	all, err := net.Interfaces()
	if err != nil {
		return 0, fmt.Errorf("list interfaces: %w", err)
	}
	for _, i := range all {
		addresses, err := i.Addrs()
		if err != nil {
			continue // It has gone.
		}
		for _, a := range addresses {
			if prefix, ok := a.(*net.IPNet); ok && prefix.IP.String() == ip {
				return i.MTU, nil
			}
		}
	}
	return 0, fmt.Errorf("no interface has the node's address %s", ip)
}

// address is the IPv4 address by which other nodes reach a node, or "".
func address(n *corev1.Node) string {
	for _, a := range n.Status.Addresses {
		if ip := net.ParseIP(a.Address); a.Type == corev1.NodeInternalIP && ip.To4() != nil {
			return a.Address
		}
	}
	return ""
}
