package playbook

import (
	"context"
	"strings"
)

// edge is who calls whom: one line of get_service_graph, or the same from the metrics of caller and callee.
type edge struct {
	Caller      string  `json:"caller"`
	Callee      string  `json:"callee"`
	Calls       int     `json:"calls"`
	Errors      int     `json:"errors"`
	P50MS       float64 `json:"p50Ms"`
	CalleeP50MS float64 `json:"calleeP50Ms"`
	// lost are the calls that nobody answered. Traces do not tell them from those that were refused.
	lost int
	// measured is true when it is from metrics.
	measured bool
}

// mostlyFails is true when half of the calls or more got no answer.
func (e edge) mostlyFails() bool {
	if e.measured {
		return e.lost*2 >= e.Calls
	}
	return e.Errors*2 >= e.Calls
}

// fewCalls is how many calls say too little about an edge.
const fewCalls = 3

// rates are rate, errors and duration of every call between services and to stores, over the last 20 s.
func rates() []expression {
	const (
		client  = `rpc_client_duration_seconds`
		store   = `db_client_operation_duration_seconds`
		unheard = `rpc_grpc_status_code=~"Unavailable|DeadlineExceeded"`
		failure = `rpc_grpc_status_code!~"OK|Canceled|InvalidArgument|NotFound|AlreadyExists|FailedPrecondition|Unauthenticated"`
		byPeer  = `sum by (service, rpc_service) `
		byStore = `sum by (service, db_system_name) `
	)
	return []expression{
		{"calls", byPeer + `(increase(` + client + `_count{$ns}[20s])) > 0`},
		{"errors", byPeer + `(increase(` + client + `_count{$ns,` + failure + `}[20s])) > 0`},
		{"lost", byPeer + `(increase(` + client + `_count{$ns,` + unheard + `}[20s])) > 0`},
		{"wait", `histogram_quantile(0.5, sum by (service, rpc_service, le) (rate(` + client + `_bucket{$ns}[20s])))`},
		{"work", `histogram_quantile(0.5, sum by (service, rpc_service, le) (rate(rpc_server_duration_seconds_bucket{$ns}[20s])))`},
		{"store-calls", byStore + `(increase(` + store + `_count{$ns}[20s])) > 0`},
		{"store-errors", byStore + `(increase(` + store + `_count{$ns,error_type!=""}[20s])) > 0`},
		{"store-lost", byStore + `(increase(` + store + `_count{$ns,error_type=~"timeout|error"}[20s])) > 0`},
		{"store-wait", `histogram_quantile(0.5, sum by (service, db_system_name, le) (rate(` + store + `_bucket{$ns}[20s])))`},
	}
}

// loadTraffic reads who calls whom. Metrics know every call of a window, traces a few of the latest; but only traces know a
// store by its name, and they cost the cluster more, so they are read again only where there are no metrics.
func (s *scene) loadTraffic(ctx context.Context) error {
	samples, err := s.ask(ctx, rates())
	if err != nil {
		return err
	}
	if len(samples) == 0 || len(s.traced) == 0 {
		s.traced = nil
		if err := s.call(ctx, "get_service_graph", map[string]any{"lookback_seconds": 30}, &s.traced); err != nil {
			return err
		}
	}
	measured := s.measure(samples)
	s.edges = nil
	for _, e := range s.traced {
		if m, ok := measured[[2]string{e.Caller, e.Callee}]; ok {
			e = *m
			delete(measured, [2]string{e.Caller, e.Callee})
		}
		s.edges = append(s.edges, e)
	}
	for _, m := range samples { // In their order: that of a map is another one each time.
		if key, ok := s.ends(m, samples); ok && measured[key] != nil {
			s.edges = append(s.edges, *measured[key])
			delete(measured, key)
		}
	}
	return nil
}

// measure makes edges of the samples of rates.
func (s *scene) measure(samples []sample) map[[2]string]*edge {
	out := map[[2]string]*edge{}
	for _, m := range samples {
		key, ok := s.ends(m, samples)
		if !ok {
			continue
		}
		e := out[key]
		if e == nil {
			e = &edge{Caller: key[0], Callee: key[1], measured: true}
			out[key] = e
		}
		switch strings.TrimPrefix(m.signal, "store-") {
		case "calls":
			e.Calls = int(m.value + 0.5)
		case "errors":
			e.Errors = int(m.value + 0.5)
		case "lost":
			e.lost = int(m.value + 0.5)
		case "wait":
			e.P50MS = 1000 * m.value
			e.CalleeP50MS = 1000 * worked(m.labels["rpc_service"], samples)
		}
	}
	return out
}

// worked is how long the callee works on a call, in seconds; 0 when that is not known.
func worked(rpcService string, samples []sample) float64 {
	for _, m := range samples {
		if m.signal == "work" && rpcService != "" && m.labels["rpc_service"] == rpcService {
			return m.value
		}
	}
	return 0
}

// ends are caller and callee of what a client has measured. The callee of an RPC is who serves it or, if nobody has done so of
// late, who is named like it.
func (s *scene) ends(m sample, samples []sample) ([2]string, bool) {
	if system := m.labels["db_system_name"]; system != "" {
		store := s.storeNamed(m.service(), system)
		return [2]string{m.service(), store}, store != ""
	}
	if m.signal == "work" {
		return [2]string{}, false
	}
	for _, server := range samples {
		if server.signal == "work" && server.labels["rpc_service"] == m.labels["rpc_service"] {
			return [2]string{m.service(), server.service()}, true
		}
	}
	name := strings.ToLower(m.labels["rpc_service"][strings.LastIndexByte(m.labels["rpc_service"], '.')+1:])
	_, ok := s.deployment(name)
	return [2]string{m.service(), name}, ok
}

// storeNamed is the store of a kind that a service calls: the one in its traces, or the one that is named after both.
func (s *scene) storeNamed(service, system string) string {
	for _, e := range s.traced {
		if e.Caller == service && strings.Contains(e.Callee, system) {
			return e.Callee
		}
	}
	for _, d := range s.deployments {
		if strings.Contains(d.name, system) && strings.Contains(d.name, service) {
			return d.name
		}
	}
	return ""
}

// depth is how many calls lie between the entry and a service.
func (s *scene) depth(service string, guard int) int {
	deepest := 0
	for _, e := range s.edges {
		if e.Callee == service && e.Caller != service && guard < 10 {
			deepest = max(deepest, 1+s.depth(e.Caller, guard+1))
		}
	}
	return deepest
}

// storeOf is the database that a service calls most.
func (s *scene) storeOf(service string) string {
	best, most := "", -1
	for _, e := range s.edges {
		d, ok := s.deployment(e.Callee)
		if e.Caller == service && ok && d.component == "store" && (strings.Contains(e.Callee, "sql") || most < 0) && e.Calls > most {
			best, most = e.Callee, e.Calls
		}
	}
	return best
}
