// Package metricsserver is metrics-server: it asks every kubelet what its containers use and serves that as metrics.k8s.io,
// for kubectl top and the autoscaler.
//
// The API, the storage and the scraping loop are metrics-server's own packages; only what would touch the operating system
// is written anew: see package aggregate, and the client for kubelets in this one.
package metricsserver

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gameday-bench/gameday/workloads/monitoring/aggregate"
	"github.com/gameday-bench/gameday/workloads/monitoring/kubeclient"
	"github.com/gameday-bench/gameday/workloads/program"
)

// Version is the release of metrics-server whose packages are linked in.
const Version = "0.7.2"

// Image is metrics-server's image.
func Image() program.Image {
	return program.Image{
		Repository: "registry.local/metrics-server/metrics-server", Tags: []string{"v" + Version}, User: 65534, Program: Run,
		Ports: []string{"10250/tcp"},
	}
}

// options are metrics-server's command-line flags, as far as this program has them, under their own names.
type options struct {
	port       int
	resolution time.Duration
	timeout    time.Duration
	insecure   bool
	addresses  []corev1.NodeAddressType
	nodePort   bool
}

// minResolution is the shortest period in which a kubelet's figures are a rate and not noise. Upstream's limit of 10 s is that
// of a cAdvisor that samples so rarely; here every answer is measured anew.
const minResolution = time.Second

func parseOptions(args []string) (options, error) {
	o := options{addresses: []corev1.NodeAddressType{corev1.NodeInternalIP}}
	fs := flag.NewFlagSet("metrics-server", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&o.port, "secure-port", 10250, "port to serve HTTPS on")
	fs.DurationVar(&o.resolution, "metric-resolution", time.Minute, "how often the kubelets are asked")
	fs.DurationVar(&o.timeout, "kubelet-request-timeout", 10*time.Second, "how long a kubelet may take")
	fs.BoolVar(&o.insecure, "kubelet-insecure-tls", false, "do not verify the kubelets' certificates")
	fs.BoolVar(&o.nodePort, "kubelet-use-node-status-port", false, "use the port in the node's status")
	fs.Func("kubelet-preferred-address-types", "which addresses of a node to use, in order", func(s string) error {
		o.addresses = addressTypes(s)
		return nil
	})
	err := fs.Parse(args)
	switch {
	case err != nil:
	case fs.NArg() > 0:
		err = fmt.Errorf("unexpected %s", fs.Arg(0))
	case o.resolution < minResolution:
		err = fmt.Errorf("metric-resolution should be a time duration at least %v, but value %v provided", minResolution, o.resolution)
	case o.timeout <= 0:
		err = fmt.Errorf("kubelet-request-timeout should be more than 0, but value %v provided", o.timeout)
	}
	if err != nil {
		return o, &program.ExitError{Code: 1, Err: fmt.Errorf("read flags: %w", err)}
	}
	// A kubelet that hangs must not keep the others' figures from being stored in time.
	o.timeout = min(o.timeout, o.resolution*9/10)
	return o, nil
}

// Run serves metrics.k8s.io until ctx ends. It takes metrics-server's own flags.
func Run(ctx context.Context, sys *program.Sys) error {
	o, err := parseOptions(sys.Args)
	if err != nil {
		return err
	}
	if sys.Getenv("GOGC") == "" {
		debug.SetGCPercent(40)
	}
	log := aggregate.LogTo(sys)
	access, err := kubeclient.Config(sys)
	if err != nil {
		return err
	}
	access.UserAgent = "metrics-server/v" + Version
	listener, err := sys.Net.Listen(ctx, "tcp", fmt.Sprintf(":%d", o.port))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s, err := newServer(ctx, access, listener, sys.Hostname, o)
	if err != nil {
		_ = listener.Close()
		return err
	}
	log.Info("serving metrics.k8s.io", "address", listener.Addr().String(), "resolution", o.resolution)
	return s.run(ctx)
}
