// Package etcd is etcd in a container of the embedded cluster: etcd's own server as the only member of a cluster, with its ports on the
// pod's network and its data in the container's files.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"

	"go.etcd.io/etcd/server/v3/embed"
	"golang.org/x/sync/errgroup"

	"github.com/gameday-bench/gameday/workloads/program"
)

// Image returns etcd's image under the tag that Kubernetes' tests ask for. The server is the version in go.mod.
func Image() program.Image {
	return program.Image{
		Repository: "registry.k8s.io/etcd", Tags: []string{"3.6.6-0"}, Entrypoint: []string{"/usr/local/bin/etcd"}, Program: Run,
		Ports: []string{"2379/tcp"},
	}
}

// Run serves until ctx ends. It takes those of etcd's own flags that one member without certificates has a use for.
//
// etcd opens its listeners and files itself, on the operating system. So it listens on a socket among its data, to which what comes
// in on the pod's network is carried, and its data directory goes by the descriptor that the container's files gave out.
func Run(ctx context.Context, sys *program.Sys) error {
	cfg, err := configure(sys.Args, sys.Stderr)
	if err != nil {
		return err
	}
	if err := sys.Files.MkdirAll(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	dir, err := sys.Files.Open(cfg.Dir)
	if err != nil {
		return fmt.Errorf("open data directory: %w", err)
	}
	defer dir.Close()
	// The directory's own path on the host is too long for a socket.
	cfg.Dir = fmt.Sprintf("/proc/self/fd/%d", dir.Fd())
	listeners, err := listen(ctx, sys.Net, cfg.ListenClientUrls)
	if err != nil {
		return err
	}
	socket := url.URL{Scheme: "unix", Path: cfg.Dir + "/clients"}
	cfg.ListenClientUrls, cfg.ListenPeerUrls = []url.URL{socket}, nil
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return errors.Join(fmt.Errorf("start etcd: %w", err), closeAll(listeners))
	}
	return serve(ctx, server, listeners, socket.Path)
}

// listen opens a listener of the pod for each URL.
func listen(ctx context.Context, network program.Network, urls []url.URL) ([]net.Listener, error) {
	var out []net.Listener
	for _, u := range urls {
		l, err := network.Listen(ctx, "tcp", u.Host)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen for clients: %w", err), closeAll(out))
		}
		out = append(out, l)
	}
	return out, nil
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// serve carries clients to the socket until ctx ends or etcd does. It stops etcd, and waits for all that it has started.
func serve(ctx context.Context, server *embed.Etcd, listeners []net.Listener, socket string) error {
	var carried sync.WaitGroup
	defer carried.Wait()
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		g.Go(func() error { return forward(ctx, l, socket, &carried) })
	}
	g.Go(func() error {
		var err error
		select {
		case err = <-server.Err():
		case <-server.Server.StopNotify():
			err = errors.New("etcd has stopped")
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // It was asked to end.
		}
		return fmt.Errorf("serve clients: %w", err)
	})
	g.Go(func() error {
		<-ctx.Done()
		err := closeAll(listeners)
		server.Close()
		return err
	})
	return g.Wait()
}
