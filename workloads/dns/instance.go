package dns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"

	"github.com/gameday-bench/gameday/workloads/program"
)

// serverType is CoreDNS's name for itself in caddy.
const serverType = "dns"

// instance is one loaded Corefile.
type instance struct {
	ctx      context.Context
	cancel   context.CancelFunc
	sys      *program.Sys
	corefile []byte
	fatal    chan<- error // takes an error that ends the process.

	caddy    *caddy.Instance
	context  caddy.Context
	servers  []*dnsserver.Server
	prepared bool

	// What the plugins ask for.
	interval, jitter time.Duration // of reload; 0 means that the Corefile is not looked at again.
	duck             time.Duration // of health.
	web              []webServer
	background       []func(ctx context.Context)

	done    sync.WaitGroup
	closers []func() error
}

// webServer is an HTTP server that a plugin wants.
type webServer struct {
	plugin, address string
	handler         http.Handler
}

type instanceKey struct{}

// instanceOf returns the instance that a directive is set up for.
func instanceOf(c *caddy.Controller) *instance {
	in, _ := c.Get(instanceKey{}).(*instance)
	return in
}

// load parses a Corefile and sets its plugins up; nothing is served yet. The error has CoreDNS's words.
func load(ctx context.Context, sys *program.Sys, path string, corefile []byte, fatal chan<- error) (*instance, error) {
	in := &instance{sys: sys, corefile: corefile, fatal: fatal}
	in.ctx, in.cancel = context.WithCancel(ctx)
	in.caddy = &caddy.Instance{Storage: map[any]any{instanceKey{}: in}}
	if err := checkImports(path, corefile); err != nil {
		in.cancel()
		return nil, err
	}
	if err := caddy.ValidateAndExecuteDirectives(input(path, corefile), in.caddy, false); err != nil {
		in.cancel()
		return nil, err
	}
	if in.context == nil {
		in.cancel()
		return nil, fmt.Errorf("%s: no directive in any server block", path)
	}
	servers, err := in.context.MakeServers()
	if err != nil {
		in.cancel()
		return nil, err
	}
	for _, s := range servers {
		d, ok := s.(*dnsserver.Server)
		if !ok {
			in.cancel()
			return nil, fmt.Errorf("%s: only plain DNS is served, not %T", path, s)
		}
		in.servers = append(in.servers, d)
	}
	return in, nil
}

// prepare runs what the plugins do before anything is served, for example fill their caches.
func (in *instance) prepare() error {
	if in.prepared {
		return nil
	}
	in.prepared = true
	for _, f := range in.caddy.OnStartup {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// start serves. After an error, stop ends what has been started.
func (in *instance) start() error {
	if err := in.prepare(); err != nil {
		return err
	}
	for _, w := range in.web {
		if err := in.serveWeb(w); err != nil {
			return err
		}
	}
	for _, s := range in.servers {
		if err := in.serve(s); err != nil {
			return err
		}
	}
	for _, s := range in.servers {
		s.OnStartupComplete()
	}
	for _, f := range in.background {
		in.done.Go(func() { f(in.ctx) })
	}
	return nil
}

func (in *instance) serve(s *dnsserver.Server) error {
	address := strings.TrimPrefix(s.Addr, "dns://")
	l, err := in.sys.Net.Listen(in.ctx, "tcp", address)
	if err != nil {
		return err
	}
	p, err := in.sys.Net.ListenPacket(in.ctx, "udp", address)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	in.closers = append(in.closers, func() error {
		err := s.Stop()
		l.Close()
		p.Close()
		return err
	})
	in.done.Go(func() { _ = s.Serve(l) })
	in.done.Go(func() { _ = s.ServePacket(p) })
	return nil
}

func (in *instance) serveWeb(w webServer) error {
	l, err := in.sys.Net.Listen(in.ctx, "tcp", w.address)
	if err != nil {
		return fmt.Errorf("plugin/%s: %w", w.plugin, err)
	}
	srv := &http.Server{Handler: w.handler, ReadHeaderTimeout: 5 * time.Second}
	in.closers = append(in.closers, srv.Close)
	in.done.Go(func() { _ = srv.Serve(l) })
	return nil
}

// lameduck goes on serving for as long as health's lameduck says, so that clients have time to turn away.
func (in *instance) lameduck() {
	if in.duck > 0 {
		in.sys.Clock.Sleep(in.duck)
	}
}

// stop ends everything that start and prepare began.
func (in *instance) stop() error {
	in.cancel()
	var errs []error
	for _, f := range in.closers {
		errs = append(errs, f())
	}
	if in.prepared {
		for _, f := range in.caddy.OnShutdown {
			errs = append(errs, f())
		}
	}
	in.done.Wait()
	return errors.Join(errs...)
}
