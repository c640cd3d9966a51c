package kind

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/procx"
)

const (
	// watchEvery is how often the containers are looked at; an event of the engine brings the next look forward.
	watchEvery = 5 * time.Second
	// watchAgain is how soon an engine that did not answer is asked again, and lookLimit how long it may take to answer: where nodes have
	// all processors for themselves, that is many seconds. One that has ended refuses at once.
	watchAgain = 500 * time.Millisecond
	lookLimit  = 20 * time.Second
	// silence is how often in a row it may fail to answer: a busy machine is no dead daemon.
	silence = 3
)

// watch looks at the containers from now on, until the cluster is taken down, and says which one has stopped without our doing.
func (c *Cluster) watch(ctx context.Context) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	c.unwatch = func() {
		cancel()
		<-ended
	}
	go func() {
		defer close(ended)
		if err := c.untilBroken(ctx); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.err = errs.With(errs.Infra, err)
			close(c.done)
		}
	}()
}

// untilBroken returns what broke the cluster, or nil when ctx has ended.
func (c *Cluster) untilBroken(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	news, listening := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(listening)
		c.engine.listen(ctx, c.full, news)
	}()
	defer func() {
		cancel()
		<-listening
	}()
	tick := c.clock.NewTicker(watchEvery)
	defer tick.Stop()
	var again <-chan time.Time
	for silent := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-again:
		case <-tick.C():
		}
		again = nil
		lost, err := c.lost(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if silent++; silent == silence {
				err = fmt.Errorf("watch nodes: the container engine does not answer: %w", err)
				return errs.Hint(err, "start %s again; what is left of the cluster is removed by: gameday delete cluster --all", c.engine.name)
			}
			again = c.clock.After(watchAgain)
		case lost != nil:
			return lost
		default:
			silent = 0
		}
	}
}

// lost says which node has stopped without our doing; err is for an engine that does not answer.
func (c *Cluster) lost(ctx context.Context) (lost, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookLimit, errors.New("no answer"))
	defer cancel()
	states, err := c.engine.states(ctx, c.layout.containers())
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.layout.nodes {
		s, before := states[n.container], c.started[n.name]
		switch {
		case c.expected[n.name]:
		case !s.running():
			return fmt.Errorf("run node %s: its container %s %s", n.name, n.container, s), nil
		case before == "":
			c.started[n.name] = s.StartedAt
		case before != s.StartedAt: // kind has the engine do that once.
			return fmt.Errorf("run node %s: its container %s had ended, and was started again by %s", n.name, n.container, c.engine.name), nil
		}
	}
	return nil, nil
}

// listen sends on news whenever something happens to a container of the cluster, and once more when the engine stops telling. It returns
// when that is so, or when ctx ends; an engine without such events only ends the listening.
func (e engine) listen(ctx context.Context, cluster string, news chan<- struct{}) {
	tell := func() {
		select {
		case news <- struct{}{}:
		default: // The look that is due will see it.
		}
	}
	if e.name == nerdctl { // It cannot tell the cluster's containers from others.
		return
	}
	cmd := exec.CommandContext(ctx, e.name, "events", "--filter", "type=container", "--filter", "label="+clusterLabel+"="+cluster, "--format", "{{.ID}}")
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil || procx.Start(cmd) != nil {
		return
	}
	for all := bufio.NewScanner(out); all.Scan(); {
		tell()
	}
	_ = cmd.Wait() // However it ended: the next look tells whether the engine is there.
	tell()
}
