package leak_test

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/leak"
)

// serves is an API that answers paths.
func serves(answers map[string]string) leak.API {
	return func(_ context.Context, path string, query url.Values) (string, error) {
		if service := query.Get("service"); service != "" {
			path += " of " + service
		}
		return answers[path], nil
	}
}

func TestSearchAPIs(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ path, shows, finding string }{
		"target":      {"/api/v1/targets", `{"__meta_kubernetes_pod_label_gameday_run":"1"}`, "Prometheus /api/v1/targets shows"},
		"rule":        {"/api/v1/rules", "chaos", "Prometheus /api/v1/rules shows"},
		"help":        {"/api/v1/metadata", "faults injected", "Prometheus /api/v1/metadata shows"},
		"label":       {"/api/v1/labels", "is_twin", "Prometheus /api/v1/labels shows"},
		"build":       {"/api/v1/status/buildinfo", "gameday", "Prometheus /api/v1/status/buildinfo shows"},
		"service":     {"/api/services", `{"data":["chaosd"]}`, "Jaeger /api/services shows"},
		"operation":   {"/api/services/geo/operations", "ChaosInject", "Jaeger /api/services/geo/operations shows"},
		"span":        {"/api/traces of geo", `{"key":"otel.scope.name","value":"gameday/geo"}`, "Jaeger /api/traces?limit=50"},
		"no leak":     {"/api/traces of geo", `{"key":"otel.scope.name","value":"hotel/geo"}`, ""},
		"other trace": {"/api/traces of nobody", "chaos", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := map[string]string{"/api/services": `{"data":["frontend","geo"]}`}
			answers[c.path] = c.shows
			found, err := leak.SearchAPIs(t.Context(), serves(answers), serves(answers), leak.NewVocabulary())
			require.NoError(t, err)
			if c.finding == "" {
				require.Empty(t, found)
				return
			}
			require.Len(t, found, 1)
			require.Contains(t, found[0].String(), c.finding)
		})
	}
}

func TestSearchAPIsSaysWhatItCouldNotLookAt(t *testing.T) {
	t.Parallel()
	errDown := errors.New("down")
	down := func(context.Context, string, url.Values) (string, error) { return "", errDown }
	up := serves(map[string]string{"/api/services": `{"data":[]}`})
	_, err := leak.SearchAPIs(t.Context(), down, up, leak.NewVocabulary())
	require.ErrorIs(t, err, errDown)
	require.ErrorContains(t, err, "look at Prometheus /api/v1/targets")
	_, err = leak.SearchAPIs(t.Context(), up, down, leak.NewVocabulary())
	require.ErrorIs(t, err, errDown)
	_, err = leak.SearchAPIs(t.Context(), up, serves(nil), leak.NewVocabulary())
	require.ErrorContains(t, err, "decode Jaeger's services")
}
