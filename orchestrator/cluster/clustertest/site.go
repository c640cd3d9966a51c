package clustertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/stack"
	"github.com/gameday-bench/gameday/orchestrator/telemetry"
	"github.com/gameday-bench/gameday/workloads"
)

// siteApp is the application of every Site.
const siteApp = "hotel"

// Window is over what objectives are measured: it holds a few scrapes.
const Window = 5 * time.Second

// Site is the hotel application under load, with its monitoring: what users get while something is broken. Its rig's
// namespace is the application's.
type Site struct {
	*Rig
	App       *workloads.Definition
	Telemetry *telemetry.Client
}

// siteOnce deploys the application once for a fixture.
type siteOnce struct {
	once sync.Once
	app  *workloads.Definition
	err  error
}

// Site returns the application under rate requests per second, healthy. The first call deploys it, later ones wait until
// its objectives are met again; a test leaves it repaired.
func (f *Fixture) Site(t *testing.T, rate float64) *Site {
	t.Helper()
	r := f.In(t, "")
	f.site.once.Do(func() { f.site.app, f.site.err = r.deploySite(rate) })
	require.NoError(t, f.site.err)
	r.Namespace = f.site.app.Namespace
	s := &Site{Rig: r, App: f.site.app, Telemetry: telemetry.New(r.REST)}
	s.Healthy()
	return s
}

func (r *Rig) deploySite(rate float64) (*workloads.Definition, error) {
	apps, err := workloads.LoadCatalog(workloads.Embedded())
	if err != nil {
		return nil, err
	}
	app, err := apps.Get(siteApp)
	if err != nil {
		return nil, err
	}
	s, err := stack.New(stack.Params{App: app, Namespace: app.Namespace, Profile: "default", Rate: rate, REST: r.REST})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*Patience)
	defer cancel()
	return app, s.Deploy(ctx)
}

// With returns the site for a part of the test.
func (s *Site) With(t *testing.T) *Site {
	part := *s
	part.Rig = s.Rig.With(t)
	return &part
}

// Healthy waits until every objective is met and no alert fires.
func (s *Site) Healthy() {
	s.T.Helper()
	s.Eventually("the objectives are met and no alert fires", func() (bool, string) {
		reason, err := s.Telemetry.Healthy(s.T.Context(), s.App.SLOs, Window, 1)
		return err == nil && reason == "", fmt.Sprint(reason, err)
	})
}

// Misses waits until users get less than this objective of the application promises them, measured where they come in.
func (s *Site) Misses(objective string) {
	s.T.Helper()
	at := slices.IndexFunc(s.App.SLOs, func(o workloads.SLO) bool { return o.Name == objective })
	require.GreaterOrEqual(s.T, at, 0, "the application has no objective %s", objective)
	s.Eventually("objective "+objective+" is missed", func() (bool, string) {
		got, err := s.Telemetry.Objective(s.T.Context(), s.App.SLOs[at], Window)
		missed := err == nil && got.Samples >= 1 && !got.Met
		return missed, fmt.Sprintf("%.4g %s of %.0f requests, promised %.4g, %v", got.Value, got.Unit, got.Samples, got.Target, err)
	})
}

// Value waits until a PromQL expression has a sample for which holds is true, and returns it: the symptom of a fault that
// telemetry shows elsewhere than at the front door. what completes "the telemetry shows ...".
func (s *Site) Value(what, expression string, holds func(float64) bool) float64 {
	s.T.Helper()
	var value float64
	s.Eventually("the telemetry shows "+what, func() (bool, string) {
		series, err := s.Telemetry.Query(s.T.Context(), expression)
		for _, one := range series {
			if value = one.Value(); holds(value) {
				return true, ""
			}
		}
		return false, fmt.Sprint(expression, ": ", series, err)
	})
	return value
}

// Some and None are what Value can wait for: that there is something of what is counted, and that there is nothing.
func Some(v float64) bool { return v > 0 }

// None is the opposite of Some.
func None(v float64) bool { return v == 0 }
