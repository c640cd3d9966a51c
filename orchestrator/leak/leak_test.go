package leak_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/orchestrator/leak"
)

// cloud answers a call by the first key that its tool and arguments contain. It shows pages of a few bytes.
type cloud struct {
	answers []answer
	pages   []string
	calls   []string
}

type answer struct{ to, shows string }

func (c *cloud) Tools() []agents.Tool { return nil }

const pageSize = 64

func (c *cloud) Call(_ context.Context, tool string, args json.RawMessage) (agents.Result, error) {
	if tool == "read_output" {
		var at struct{ Page, Offset int }
		if err := json.Unmarshal(args, &at); err != nil {
			return agents.Result{}, err
		}
		return c.page(at.Page, at.Offset), nil
	}
	call := tool + " " + string(args)
	c.calls = append(c.calls, call)
	for _, a := range c.answers {
		if !strings.Contains(call, a.to) {
			continue
		}
		if why, ok := strings.CutPrefix(a.shows, "error: "); ok {
			return agents.Result{Output: why, IsError: true}, nil
		}
		c.pages = append(c.pages, a.shows)
		return c.page(len(c.pages)-1, 0), nil
	}
	return agents.Result{Output: "nothing"}, nil
}

func (c *cloud) page(id, offset int) agents.Result {
	text := c.pages[id][offset:]
	if len(text) <= pageSize {
		return agents.Result{Output: text}
	}
	return agents.Result{Truncated: true, Output: text[:pageSize] + fmt.Sprintf(
		"\n[output truncated: bytes 0-1 of 2; read on with read_output {\"page\":%d,\"offset\":%d}]", id, offset+pageSize)}
}

// system is a cluster without a leak.
func system() []answer {
	return []answer{
		{"verbs=list", "pods\nleases.coordination.k8s.io\nsecrets\npods.metrics.k8s.io\n"},
		{"custom-columns", "hotel   geo-1    0\nkube-system   dns-1    0,2\nhotel   new-1    <none>\n"},
		{"list_metrics", "up (gauge) Whether it is up.\nrequests_total\n"},
		{`search_traces {"errors_only":true`, `{"traceId":"b","root":"frontend GET /","services":["frontend"],"errors":["x"]}` + "\n"},
		{"search_traces", strings.Repeat(`{"traceId":"a","root":"frontend GET /","services":["frontend"]}`+"\n", 3)},
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		to, shows string
	}{
		"object":                    {"get leases.coordination.k8s.io -A", "holder: gameday-1"},
		"managed fields":            {"get pods -A -o yaml --show-managed-fields", "manager: gameday"},
		"on a later page":           {"get secrets -A", strings.Repeat("x ", 100) + "chaos"},
		"across a page's end":       {"get secrets -A", strings.Repeat("x", pageSize-3) + " chaos " + strings.Repeat("x", pageSize)},
		"event":                     {"get_events", "Injected"},
		"alert":                     {"get_alerts", "chaos"},
		"metric's name":             {"list_metrics", "up\nchaos_mesh_x\n"},
		"label's value":             {`up|requests_total`, `{"result":[{"metric":{"__name__":"up","job":"chaos_x"}}]}`},
		"log":                       {"logs -n hotel pod/geo-1", "level=info msg=\"GAMEDAY_X is set\""},
		"log of another namespace":  {"logs -n kube-system pod/dns-1", "chaosmesh"},
		"log before a restart":      {"pod/dns-1 --all-containers --ignore-errors --previous", "chaosmesh"},
		"found traces":              {"search_traces", `{"traceId":"a","root":"chaos"}`},
		"trace":                     {`get_trace {"trace_id":"a"}`, "frontend GET / peer=chaos"},
		"trace with an error":       {`get_trace {"trace_id":"b"}`, "frontend GET / ERROR injected"},
		"service graph":             {"get_service_graph", `[{"caller":"chaos","callee":"geo"}]`},
		"description of the system": {"describe nodes", "chaos"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := leak.Search(t.Context(), &cloud{answers: append([]answer{{c.to, c.shows}}, system()...)}, leak.NewVocabulary())
			require.NoError(t, err)
			require.NotEmpty(t, found)
			require.Contains(t, found[0].String(), " shows ")
		})
	}
}

func TestSearchFindsNothingInASystemWithoutLeaks(t *testing.T) {
	t.Parallel()
	c := &cloud{answers: system()}
	found, err := leak.Search(t.Context(), c, leak.NewVocabulary("some-fault"))
	require.NoError(t, err)
	require.Empty(t, found)
	calls := strings.Join(c.calls, "\n")
	require.Equal(t, 1, strings.Count(calls, `get_trace {"trace_id":"a"}`), "one trace of a kind is enough")
	require.Equal(t, 1, strings.Count(calls, "--previous"), "only what was restarted has a previous log")
	require.Equal(t, 1, strings.Count(calls, "query_metrics"), "metrics are queried together")
}

func TestSearchSaysWhatItCouldNotLookAt(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		to, shows string
		wrong     string
	}{
		"broken tool":        {"get_alerts", "error: query_failed: no answer", "look at get_alerts"},
		"broken query":       {"query_metrics", "error: query_failed: too many samples", "too many samples"},
		"may not list":       {"get secrets", "error: Error from server (Forbidden): secrets is forbidden", ""},
		"no longer there":    {"pod/geo-1", `error: Error from server (NotFound): pods "geo-1" not found`, ""},
		"no answer":          {"get secrets", "error: Error from server (ServiceUnavailable): no answer", "look at kubectl get secrets"},
		"no metrics' answer": {"get pods.metrics.k8s.io", "error: Error from server (ServiceUnavailable): no answer", ""},
		"API without answer": {"verbs=list", "error: pods\nerror: unable to retrieve the complete list of server APIs: metrics.k8s.io/v1", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := &cloud{answers: append([]answer{{c.to, c.shows}}, system()...)}
			_, err := leak.Search(t.Context(), system, leak.NewVocabulary())
			if c.wrong != "" {
				require.ErrorContains(t, err, c.wrong)
				return
			}
			require.NoError(t, err)
			require.NotContains(t, strings.Join(system.calls, "\n"), "get error:")
		})
	}
}

// over is a trial that ended.
type over struct{ cloud }

var errOver = errors.New("the trial is over")

func (over) Call(context.Context, string, json.RawMessage) (agents.Result, error) {
	return agents.Result{}, errOver
}

func TestSearchEndsWithTheTrial(t *testing.T) {
	t.Parallel()
	_, err := leak.Search(t.Context(), &over{}, leak.NewVocabulary())
	require.ErrorIs(t, err, errOver)
}
