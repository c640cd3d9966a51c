package orchestrator

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/orchestrator/aci"
	"github.com/gameday-bench/gameday/orchestrator/aci/proxy"
	"github.com/gameday-bench/gameday/orchestrator/leak"
	"github.com/gameday-bench/gameday/results"
	"github.com/gameday-bench/gameday/scenarios"
)

// leakLimit bounds the search for leaks, which takes half a minute on an idle machine.
const leakLimit = 5 * time.Minute

// leaks looks at everything that an agent can reach through its own interface, and returns what gives the fault away.
func (c *checker) leaks(ctx context.Context, env *environment) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, leakLimit, fmt.Errorf("the search for leaks took longer than %s", leakLimit))
	defer cancel()
	b, err := brief(env.problem, env.app, env.draw, scenarios.Trial{Key: results.Key{Problem: c.id, Agent: "nop", Attempt: 1}})
	if err != nil {
		return "", err
	}
	b.Budget = agents.Budget{}
	session, err := openSession(ctx, env, b, func(aci.Entry) error { return nil })
	if err != nil {
		return "", err
	}
	defer session.Close()
	ids := []string{c.id}
	for _, ref := range env.truth.Faults {
		ids = append(ids, ref.ID)
	}
	words := leak.NewVocabulary(ids...)
	findings, err := leak.Search(ctx, session, words)
	if err != nil {
		return "", err
	}
	prometheus, jaeger, err := env.telemetry()
	if err != nil {
		return "", err
	}
	more, err := leak.SearchAPIs(ctx, env.shown(prometheus), env.shown(jaeger), words)
	if err != nil {
		return "", err
	}
	var found []string
	for _, f := range append(findings, more...) {
		found = append(found, f.String())
	}
	return strings.Join(found, "; "), nil
}

// shown reads an endpoint as an agent sees it.
func (e *environment) shown(endpoint proxy.Endpoint) leak.API {
	return func(ctx context.Context, path string, query url.Values) (string, error) {
		code, body, err := endpoint.Get(ctx, path, query)
		if err != nil {
			return "", err
		}
		if code != http.StatusOK {
			return "", fmt.Errorf("status %d: %.200s", code, body)
		}
		return string(e.hidden().FilterTelemetry(body)), nil
	}
}
