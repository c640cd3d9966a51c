package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads/program"
)

// defaultInFlight bounds the requests under way when the profile does not.
const defaultInFlight = 512

// connectionAge is how often idle connections are closed: users come and go, so what happens to new connections shows.
const connectionAge = 2 * time.Second

// bodyLimit is how much of an answer is read.
const bodyLimit = 1 << 20

// Outcomes of a request.
const (
	outcomeOK      = "ok"      // a good answer
	outcomeStatus  = "status"  // an answer with another status
	outcomeBody    = "body"    // an answer without what must be in it
	outcomeTimeout = "timeout" // no answer in time
	outcomeConnect = "connect" // no connection
	outcomeBroken  = "broken"  // the connection ended before the answer
	outcomeDropped = "dropped" // not sent: too many requests under way
)

// Generator sends the requests of one profile.
type Generator struct {
	profile  Profile
	start    time.Time
	routes   []*compiled
	clock    clock.WithTicker
	client   *http.Client
	log      *slog.Logger
	metrics  *metrics
	slots    chan struct{}
	inFlight sync.WaitGroup

	due    atomic.Uint64
	errors errorLog
}

// New returns a generator for p whose schedule began at start. Requests go through network. It fails when p is invalid.
func New(p Profile, start time.Time, network program.Network, c clock.WithTicker, log *slog.Logger) (*Generator, error) {
	if p.MaxInFlight == 0 {
		p.MaxInFlight = defaultInFlight
	}
	g := &Generator{profile: p, start: start, clock: c, log: log, metrics: newMetrics(p), slots: make(chan struct{}, p.MaxInFlight)}
	for _, r := range p.Routes {
		route, err := compile(r)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Name, err)
		}
		g.routes = append(g.routes, route)
	}
	g.client = &http.Client{
		Transport: &http.Transport{
			DialContext: network.DialContext, MaxIdleConns: p.MaxInFlight, MaxIdleConnsPerHost: p.MaxInFlight,
			IdleConnTimeout: connectionAge, DisableCompression: true, WriteBufferSize: 2 << 10, ReadBufferSize: 4 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return g, nil
}

// Run sends requests when they are due until ctx ends; then it waits for those under way, which end with ctx.
func (g *Generator) Run(ctx context.Context) {
	defer g.client.CloseIdleConnections()
	defer g.inFlight.Wait()
	renew := g.clock.NewTicker(connectionAge)
	defer renew.Stop()
	s := newSchedule(g.profile)
	late := g.clock.Since(g.start)
	for {
		a, ok := s.next()
		if !ok {
			g.log.Info("schedule is over")
			<-ctx.Done()
			return
		}
		if a.At < late {
			// It belongs to the time before this generator was there.
			continue
		}
		if !g.await(ctx, a.At, renew.C()) {
			return
		}
		g.due.Store(a.Index + 1)
		g.metrics.rate.Set(s.rateAt(a.At))
		g.dispatch(ctx, a)
	}
}

// await returns true when the time since start is at, false when ctx has ended.
func (g *Generator) await(ctx context.Context, at time.Duration, renew <-chan time.Time) bool {
	for {
		wait := at - g.clock.Since(g.start)
		if wait <= 0 {
			return ctx.Err() == nil
		}
		timer := g.clock.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-renew:
			timer.Stop()
			g.client.CloseIdleConnections()
		case <-timer.C():
			return true
		}
	}
}

// dispatch sends one request without waiting for anything.
func (g *Generator) dispatch(ctx context.Context, a arrival) {
	due := g.start.Add(a.At)
	g.metrics.lag.Observe(g.clock.Since(due).Seconds())
	route := g.routes[a.Route]
	select {
	case g.slots <- struct{}{}:
	default:
		g.errors.note(route.Name, outcomeDropped, fmt.Sprintf("%d requests are under way", g.profile.MaxInFlight))
		g.metrics.done(a.Route, 0, outcomeDropped, route.Timeout)
		return
	}
	g.metrics.inFlight.Inc()
	g.inFlight.Go(func() {
		defer func() {
			<-g.slots
			g.metrics.inFlight.Dec()
		}()
		code, outcome, err := g.send(ctx, route, a.Index, due)
		if ctx.Err() != nil {
			return
		}
		if outcome != outcomeOK {
			g.errors.note(route.Name, outcome, fmt.Sprint(err))
		}
		g.metrics.done(a.Route, code, outcome, g.clock.Since(due))
	})
}

// send sends one request and judges the answer.
func (g *Generator) send(ctx context.Context, route *compiled, index uint64, due time.Time) (code int, outcome string, err error) {
	ctx, cancel := context.WithTimeout(ctx, route.Timeout-g.clock.Since(due))
	defer cancel()
	d := newDraw(g.profile.Seed)
	d.reset(index)
	m, err := route.write(d)
	if err != nil {
		return 0, outcomeBroken, err
	}
	req, err := http.NewRequestWithContext(ctx, route.Method, g.profile.Target+m.path, strings.NewReader(m.body))
	if err != nil {
		return 0, outcomeBroken, err
	}
	if m.body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("User-Agent", "traffic/1.3.0")
	for _, h := range m.headers {
		req.Header.Set(h[0], h[1])
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return 0, outcomeOf(err), err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit))
	switch {
	case err != nil:
		return resp.StatusCode, outcomeOf(err), err
	case !route.Expects(resp.StatusCode):
		return resp.StatusCode, outcomeStatus, fmt.Errorf("status %d: %.200s", resp.StatusCode, body)
	case route.ExpectBody != "" && !strings.Contains(string(body), route.ExpectBody):
		return resp.StatusCode, outcomeBody, fmt.Errorf("answer without %q: %.200s", route.ExpectBody, body)
	}
	return resp.StatusCode, outcomeOK, nil
}

func outcomeOf(err error) string {
	var timeout interface{ Timeout() bool }
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return outcomeTimeout
	case errors.As(err, &dns), errors.As(err, &op) && op.Op == "dial":
		return outcomeConnect
	}
	return outcomeBroken
}

// errorLog keeps the last error of every route and outcome. It is safe for concurrent use.
type errorLog struct {
	mu   sync.Mutex
	last map[[2]string]string
}

func (l *errorLog) note(route, outcome, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[[2]string]string{}
	}
	l.last[[2]string{route, outcome}] = text
}

func (l *errorLog) of(route string) map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]string{}
	for k, v := range l.last {
		if k[0] == route {
			out[k[1]] = v
		}
	}
	return out
}
