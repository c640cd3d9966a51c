// Package dns is the cluster DNS program: CoreDNS, with its own configuration language and plugins, on a container's Sys.
//
// What answers questions is CoreDNS's code: the server, and the plugins kubernetes, cache, errors, log, rewrite, template and so on.
// The plugins that open sockets or read files of the operating system are replaced by ones of the same name and syntax that use the Sys: health, ready,
// prometheus, forward, hosts, loop, reload. A directive that is known to CoreDNS but in neither group fails at start, as it does in a
// CoreDNS that was built without it.
package dns

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	golog "log"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/coremain"

	"github.com/gameday-bench/gameday/workloads/program"
)

// Version is the version of CoreDNS, and the tag of its image.
const Version = "v" + coremain.CoreVersion

// Image is CoreDNS's image.
func Image() program.Image {
	return program.Image{
		Repository: "registry.local/coredns/coredns", Tags: []string{Version}, User: program.NonRoot, Entrypoint: []string{"/coredns"}, Program: Run,
		Ports: []string{"53/tcp", "53/udp"},
	}
}

// Run serves the Corefile that -conf names until ctx ends. A Corefile that is broken at start is an error; later it is logged, and the
// server goes on with what it had. CoreDNS keeps its plugins and metrics in package variables, so one process runs one server.
func Run(ctx context.Context, sys *program.Sys) error {
	flags := flag.NewFlagSet("coredns", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	conf := flags.String("conf", "Corefile", "Corefile to load")
	if err := flags.Parse(sys.Args); err != nil {
		return &program.ExitError{Code: 2, Err: err}
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("extra command line arguments: %s", flags.Args())
	}
	golog.SetOutput(sys.Stdout)
	golog.SetFlags(0)
	registerPlugins()
	corefile, err := program.ReadFile(sys.Files, *conf)
	if err != nil {
		return err
	}
	fatal := make(chan error, 1)
	in, err := load(ctx, sys, *conf, corefile, fatal)
	if err != nil {
		return err
	}
	if err := in.start(); err != nil {
		return errors.Join(err, in.stop())
	}
	fmt.Fprintf(sys.Stdout, "%s-%s\n%s/%s, %s, %s\n", coremain.CoreName, coremain.CoreVersion, runtime.GOOS, runtime.GOARCH, runtime.Version(), coremain.GitCommit)
	for {
		select {
		case <-ctx.Done():
			in.lameduck()
			return in.stop()
		case err := <-fatal:
			return errors.Join(err, in.stop())
		case <-in.due():
		}
		if in, err = in.refresh(ctx, *conf, fatal); err != nil {
			return err
		}
	}
}

// due fires when the Corefile has to be looked at again; never without the reload directive.
func (in *instance) due() <-chan time.Time {
	if in.interval == 0 {
		return nil
	}
	return in.sys.Clock.After(in.interval - in.jitter/2 + time.Duration(rand.Float64()*float64(in.jitter)))
}

// refresh replaces the instance when the Corefile has changed. An error means that nothing is served any more.
func (in *instance) refresh(ctx context.Context, conf string, fatal chan error) (*instance, error) {
	corefile, err := program.ReadFile(in.sys.Files, conf)
	if err != nil {
		golog.Printf("[ERROR] plugin/reload: %v", err)
		return in, nil
	}
	if string(corefile) == string(in.corefile) {
		return in, nil
	}
	golog.Print("[INFO] Reloading")
	next, err := load(ctx, in.sys, conf, corefile, fatal)
	if err != nil {
		golog.Printf("[ERROR] Restart failed: %v", err)
		golog.Printf("[ERROR] plugin/reload: Corefile changed but reload failed: %v", err)
		// The same broken text is not tried again.
		in.corefile = corefile
		return in, nil
	}
	if err := next.prepare(); err != nil {
		golog.Printf("[ERROR] Restart failed: %v", err)
		in.corefile = corefile
		return in, next.stop()
	}
	if err := in.stop(); err != nil {
		golog.Printf("[WARNING] stopping the old configuration: %v", err)
	}
	if err := next.start(); err != nil {
		return nil, errors.Join(err, next.stop())
	}
	golog.Print("[INFO] Reloading complete")
	return next, nil
}

// input is a Corefile as CoreDNS takes it.
func input(path string, corefile []byte) caddy.Input {
	return caddy.CaddyfileInput{Contents: corefile, Filepath: path, ServerTypeName: serverType}
}
