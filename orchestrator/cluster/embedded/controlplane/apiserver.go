package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	apiapp "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/egress"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/flags"
)

// advertisedPort is the API server's port on the userspace network. Every node forwards it to the real one.
const advertisedPort = 6443

// poll is how often a condition is looked at during the start.
const poll = 25 * time.Millisecond

// startEgress serves the way into the userspace network and writes the API server's configuration for it.
func (p *plane) startEgress(ctx context.Context) error {
	socket := egress.Socket(p.spec)
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen on the egress socket: %w", err)
	}
	p.background(ctx, "egress proxy", func() error { return egress.New(p.spec, p.log).Serve(ctx, l) })
	if err := os.WriteFile(flags.EgressConfig(p.spec), []byte(egress.Config(socket)), 0o600); err != nil {
		return fmt.Errorf("write egress configuration: %w", err)
	}
	return nil
}

// startAPIServer starts kube-apiserver and returns when it answers requests, before it is ready.
func (p *plane) startAPIServer(ctx context.Context) error {
	server, err := p.buildAPIServer(ctx)
	if err != nil {
		return fmt.Errorf("build kube-apiserver: %w", err)
	}
	p.mark("apiserver built")
	prepared, err := server()
	if err != nil {
		return fmt.Errorf("prepare kube-apiserver: %w", err)
	}
	p.background(ctx, "kube-apiserver", func() error { return prepared(ctx) })
	admin, err := p.adminConfig()
	if err != nil {
		return err
	}
	if err := waitPath(ctx, admin, "/version"); err != nil {
		return err
	}
	p.mark("apiserver serves")
	return nil
}

// buildAPIServer does what kube-apiserver's command does up to the point of serving.
func (p *plane) buildAPIServer(ctx context.Context) (func() (func(context.Context) error, error), error) {
	// Loopback clients should not log warnings about the server's own deprecated APIs.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	s := options.NewServerRunOptions()
	fs := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	named := s.Flags()
	for _, set := range named.FlagSets {
		fs.AddFlagSet(set)
	}
	if err := fs.Parse(flags.APIServer(p.spec)); err != nil {
		return nil, fmt.Errorf("parse flags: %w", err)
	}
	if err := s.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	completed, err := s.Complete(ctx)
	if err != nil {
		return nil, fmt.Errorf("complete options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("validate options: %w", utilerrors.NewAggregate(errs))
	}
	config, err := apiapp.NewConfig(completed)
	if err != nil {
		return nil, err
	}
	// The kubernetes Service's endpoint gets its port from the listener. From inside the cluster the API server is
	// not at the host's port but at the well-known one. The loopback client has the real port already.
	generic := config.KubeAPIs.ControlPlane.Generic
	generic.SecureServing.Listener = advertised{generic.SecureServing.Listener}
	complete, err := config.Complete()
	if err != nil {
		return nil, err
	}
	chain, err := apiapp.CreateServerChain(complete)
	if err != nil {
		return nil, err
	}
	return func() (func(context.Context) error, error) {
		prepared, err := chain.PrepareRun()
		if err != nil {
			return nil, err
		}
		return prepared.Run, nil
	}, nil
}

// advertised is a listener that gives the port that the cluster sees as its own.
type advertised struct{ net.Listener }

func (a advertised) Addr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: advertisedPort}
}

// adminConfig is the client configuration of the control plane's own work.
func (p *plane) adminConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", p.spec.Kubeconfig("admin"))
	if err != nil {
		return nil, fmt.Errorf("read admin kubeconfig: %w", err)
	}
	config.QPS, config.Burst = flags.InternalQPS, flags.InternalBurst
	config.UserAgent = "gameday-cluster"
	return config, nil
}

// waitPath waits until a GET of path succeeds.
func waitPath(ctx context.Context, config *rest.Config, path string) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	return until(ctx, "GET "+path, func(ctx context.Context) error {
		_, err := client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(ctx)
		return err
	})
}

// until calls f until it returns nil. When ctx ends first, the error says what f last said.
func until(ctx context.Context, what string, f func(context.Context) error) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {

		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; last: %w", what, context.Cause(ctx), err)
		}
	}
}
