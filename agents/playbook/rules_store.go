package playbook

import (
	"context"
	"fmt"
	"regexp"

	"github.com/gameday-bench/gameday/agents"
)

// refusals are the errors by which a store says what is wrong: numbers of MySQL, SQLSTATEs of PostgreSQL, prefixes of Redis.
// A store that answers so was reached.
var refusals = map[string]mechanism{
	"1044": permissionRevoked, "1142": permissionRevoked, "1143": permissionRevoked, "1227": permissionRevoked, "1370": permissionRevoked,
	"42501": permissionRevoked, "NOPERM": permissionRevoked,
	"1045": credentialsInvalid, "1698": credentialsInvalid, "28P01": credentialsInvalid, "28000": credentialsInvalid,
	"NOAUTH": credentialsInvalid, "WRONGPASS": credentialsInvalid,
	"1040": connectionExhaustion, "1203": connectionExhaustion, "53300": connectionExhaustion,
	"1054": schemaMismatch, "1146": schemaMismatch, "42P01": schemaMismatch, "42703": schemaMismatch,
	"1205": lockContention, "1213": lockContention, "55P03": lockContention,
	"1021": diskExhaustion, "1114": diskExhaustion, "53100": diskExhaustion,
}

// storeRefuses: the clients of a store count errors that say what is wrong. The playbook knows no repair: it has no credentials.
func storeRefuses(_ context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, m := range s.over(storeErrors) {
		cause, known := refusals[m.labels["error_type"]]
		if !known {
			continue
		}
		system := m.labels["db_system_name"]
		components := []agents.Component{s.component("Deployment", m.service())}
		if store := s.storeNamed(m.service(), system); store != "" {
			components = append([]agents.Component{s.component("Deployment", store)}, components...)
		}
		out = append(out, finding{
			weight: 86, components: components, mechanism: cause,
			why: fmt.Sprintf("%.0f%% of the %s operations of %s end with error %s", 100*m.value, system, m.service(), m.labels["error_type"]),
		})
	}
	return out, nil
}

// denied finds a store's refusal in a log line.
var denied = regexp.MustCompile(`(?i)(access|command) denied [^'"]*['"]?\w+`)

// logsRead is how many services' logs a look reads.
const logsRead = 3

// deniedInLogs: the log of the innermost service with symptoms says that its store refuses it. Those who call it log the same
// after it, so the first is the one.
func deniedInLogs(ctx context.Context, s *scene) ([]finding, error) {
	suspects := s.suspects()
	for _, service := range suspects[:min(len(suspects), logsRead)] {
		logs, err := s.do(ctx, "get_logs", map[string]any{
			"target": "deployment/" + service, "contains": "denied", "since_seconds": 120, "tail": 20,
		})
		if err != nil {
			return nil, err
		}
		m := denied.FindString(logs.Output)
		if logs.IsError || m == "" {
			continue
		}
		components := []agents.Component{s.component("Deployment", service)}
		if store := s.storeOf(service); store != "" {
			components = append([]agents.Component{s.component("Deployment", store)}, components...)
		}
		return []finding{{
			weight: 85, components: components, mechanism: permissionRevoked, why: fmt.Sprintf("%s logs: %s", service, m),
		}}, nil
	}
	return nil, nil
}

// poolUsedUp: all connections that a service may have to its store are in use, for longer than a burst lasts.
func poolUsedUp(_ context.Context, s *scene) ([]finding, error) {
	var out []finding
	for _, m := range s.over(poolUsed) {
		out = append(out, finding{
			weight: 45, components: []agents.Component{s.component("Deployment", m.service())}, mechanism: connectionExhaustion,
			why: fmt.Sprintf("%s uses %.0f%% of its connections", m.service(), 100*m.value),
		})
	}
	return out, nil
}
