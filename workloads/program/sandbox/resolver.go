package sandbox

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/miekg/dns"
)

// Resolver looks names up as the C library does for "hosts: files dns": the hosts file first, then the name servers of
// resolv.conf with its search list and options. Both files are read again for every look-up.
// The fields are set before the first use; it is then safe for concurrent use.
type Resolver struct {
	// ResolvConf is the host path of resolv.conf. A file that is missing means a name server at 127.0.0.1.
	ResolvConf string
	// Hosts opens the container's hosts file; nil or an error means that there is none.
	Hosts func() (io.ReadCloser, error)
	// Env is the container's environment: LOCALDOMAIN and RES_OPTIONS change what resolv.conf says.
	Env map[string]string
	// Dial opens the connections to name servers.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// turn counts look-ups for the option rotate.
	turn atomic.Uint32
}

// LookupHost returns the addresses of host, IPv4 first. Errors are *net.DNSError.
func (r *Resolver) LookupHost(ctx context.Context, host string) ([]string, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []string{a.String()}, nil
	}
	if out := r.hosts(host); len(out) > 0 {
		return out, nil
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return []string{"127.0.0.1"}, nil
	}
	if _, ok := dns.IsDomainName(host); !ok || host == "" {
		return nil, &net.DNSError{Err: noSuchHost, Name: host, IsNotFound: true}
	}
	c := r.config()
	out, failure := r.search(ctx, &c, host)
	if failure != nil {
		failure.Name = host
		return nil, failure
	}
	return out, nil
}

func (r *Resolver) config() ResolvConf {
	f, err := os.Open(r.ResolvConf)
	if err != nil {
		return ParseResolvConf(strings.NewReader(""), r.Env)
	}
	defer f.Close()
	return ParseResolvConf(f, r.Env)
}

// hosts looks host up in the hosts file.
func (r *Resolver) hosts(host string) []string {
	if r.Hosts == nil {
		return nil
	}
	f, err := r.Hosts()
	if err != nil {
		return nil
	}
	defer f.Close()
	return lookupHosts(f, host)
}

// search is res_search: it tries the names that host may stand for. An answer that says that there is no such name or no
// address, or that the server failed, leads on; a server that is silent ends the search list, but the name is still tried
// as it is; a server that nobody is behind ends it all.
func (r *Resolver) search(ctx context.Context, c *ResolvConf, host string) ([]string, *net.DNSError) {
	asIs := dns.Fqdn(host)
	names := c.Candidates(host)
	asIsFirst := host == asIs || strings.Count(host, ".") >= c.Ndots
	var first, last, noData, servFail *net.DNSError
	skip := false
	for i, fqdn := range names {
		if skip && (fqdn != asIs || asIsFirst) {
			continue
		}
		out, outcome, failure := r.query(ctx, c, fqdn)
		if failure == nil {
			return out, nil
		}
		last = failure
		if i == 0 && asIsFirst {
			first = failure
		}
		searched := i > 0 || !asIsFirst
		switch {
		case ctx.Err() != nil, outcome == refused && searched:
			return nil, failure
		case outcome == empty:
			noData = failure
		case outcome == failed:
			servFail = failure
		case outcome == absent:
		case searched:
			skip = true
		}
	}
	// What is told is what became of the name as it was given, if that came first, and else the most telling outcome.
	for _, failure := range []*net.DNSError{first, noData, servFail} {
		if failure != nil {
			return nil, failure
		}
	}
	return nil, last
}

// outcome is why a question was not answered with addresses.
type outcome int

const (
	// absent: there is no such name.
	absent outcome = iota
	// empty: the name has no address.
	empty
	// failed: the servers said that they cannot answer.
	failed
	// mute: no answer came in time.
	mute
	// refused: nobody listens where the servers should be.
	refused
	// useless: an answer that says something else, such as that the question is malformed.
	useless
)

const (
	noSuchHost  = "no such host"
	misbehaving = "server misbehaving"
)

// failure words an outcome as package net does.
func (o outcome) failure(server string, err error) *net.DNSError {
	switch o {
	case absent, empty:
		return &net.DNSError{Err: noSuchHost, Server: server, IsNotFound: true}
	case failed:
		return &net.DNSError{Err: misbehaving, Server: server, IsTemporary: true}
	case useless:
		return &net.DNSError{Err: misbehaving, Server: server}
	}
	if err == nil {
		return &net.DNSError{Err: "no name server was asked", Server: server, IsTemporary: true}
	}
	return &net.DNSError{Err: err.Error(), Server: server, IsTimeout: isTimeout(err), IsTemporary: true, UnwrapErr: err}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
