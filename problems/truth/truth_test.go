package truth_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
)

const good = `apiVersion: gameday.dev/v1
kind: Truth
canary: gameday-canary-0000
faults:
  - id: service-port
    params: {service: "${target}", namespace: "${namespace}"}
symptom:
  any:
    - alert: HighErrorRate
      labels: {service: frontend}
    - query: up{namespace="${namespace}"} == 0
  within: 40s
components:
  - kind: Service
    name: ${target}
    namespace: ${namespace}
    aliases:
      - {kind: Deployment, name: "${target}"}
rootCause:
  component: {kind: Service, name: "${target}"}
  mechanism: wrong-port
  alsoMechanisms: [wrong-config-value]
  field: spec.ports[0].targetPort
repair:
  - kubectl: patch service ${target} -n ${namespace} --patch-file /dev/stdin
    stdin: '{"spec":{}}'
  - wait: 5s
hacks:
  - name: restart
    steps:
      - kubectl: rollout restart deployment ${target}
allowedChanges:
  - {kind: Service, name: "${target}"}
`

func entry(text string) problems.Entry {
	return problems.Entry{
		Problem: problems.Problem{
			ID: "p", App: "hotel", Tasks: problems.Tasks(),
			Parameters: map[string][]string{"target": {"geo", "rate"}},
		},
		Dir:    fstest.MapFS{truth.File: {Data: []byte(text)}},
		Prefix: "cat/p",
	}
}

func TestLoadAndResolve(t *testing.T) {
	t.Parallel()
	e := entry(good)
	raw, err := truth.Load(truth.Names{Faults: []string{"service-port"}}, e)
	require.NoError(t, err)
	got, err := raw.Resolve(problems.Draw{"namespace": "hotel", "target": "rate"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"service": "rate", "namespace": "hotel"}, got.Faults[0].Params)
	require.Equal(t, `up{namespace="hotel"} == 0`, got.Symptom.Any[1].Query)
	require.Equal(t, 40*time.Second, got.Symptom.Within)
	require.Equal(t, agents.Component{Kind: "Service", Name: "rate", Namespace: "hotel"}, got.Components[0].Component)
	require.Equal(t, []agents.Component{{Kind: "Deployment", Name: "rate"}}, got.Components[0].Aliases)
	require.Equal(t, "patch service rate -n hotel --patch-file /dev/stdin", got.Repair[0].Kubectl)
	require.Equal(t, 5*time.Second, got.Repair[1].Wait)
	require.Equal(t, "rollout restart deployment rate", got.Hacks[0].Steps[0].Kubectl)
	require.Equal(t, "rate", got.AllowedChanges[0].Name)
	require.Equal(t, "${target}", raw.Components[0].Name, "resolving changes the copy only")
}

func TestResolveUnknownParameter(t *testing.T) {
	t.Parallel()
	raw, err := truth.Load(truth.Names{}, entry(good))
	require.NoError(t, err)
	_, err = raw.Resolve(problems.Draw{"target": "geo"})
	require.ErrorContains(t, err, ".Faults[0].Params[namespace]: unknown parameter ${namespace} (declared: target)")
}

func TestLoadBad(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, old, new, want string }{
		{"parameter", "name: ${target}\n", "name: ${targt}\n", "cat/p/truth.yaml:15:11: components[0].name: unknown parameter ${targt} (declared: namespace, target)"},
		{"fault", "id: service-port", "id: servce-port", `cat/p/truth.yaml:5:9: faults[0].id: unknown fault "servce-port"; did you mean "service-port"? known: service-port`},
		{"kind", "kind: Service\n", "kind: Servce\n", `cat/p/truth.yaml:14:11: components[0].kind: unknown component kind "Servce"; did you mean "Service"?`},
		{"mechanism", "mechanism: wrong-port", "mechanism: wrong-prt", `cat/p/truth.yaml:21:14: rootCause.mechanism: unknown mechanism "wrong-prt"; did you mean "wrong-port"?`},
		{"other mechanism", "[wrong-config-value]", "[x]", `cat/p/truth.yaml:22:20: rootCause.alsoMechanisms[0]: unknown mechanism "x"`},
		{"two signals", "- alert: HighErrorRate", "- slo: b\n      alert: HighErrorRate", "cat/p/truth.yaml:9:7: symptom.any[0]: want exactly one of alert, query and slo, got 2"},
		{"no symptom", "  any:\n    - alert: HighErrorRate\n      labels: {service: frontend}\n    - query: up{namespace=\"${namespace}\"} == 0\n", "", "cat/p/truth.yaml:8:3: symptom: want any (a list of signals) or silent (why nothing shows)"},
		{"no within", "  within: 40s\n", "", "cat/p/truth.yaml:8:3: symptom.within: want the time within which the symptom shows, for example 30s"},
		{"step", "- wait: 5s", "- {wait: 5s, kubectl: get pods}", "cat/p/truth.yaml:27:5: repair[1]: want exactly one of kubectl and wait"},
		{"no hacks", "hacks:\n  - name: restart\n    steps:\n      - kubectl: rollout restart deployment ${target}\n", "", "cat/p/truth.yaml:1:1: hacks: is required: the problem asks for mitigation, so name what must not pass as one"},
		{"no canary", "canary: gameday-canary-0000\n", "", "cat/p/truth.yaml:1:1: canary: required field is missing"},
		{"unknown field", "aliases:", "alias:", `cat/p/truth.yaml:17:5: components[0].alias: unknown field; did you mean "aliases"?`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(good, tc.old, tc.new, 1)
			require.NotEqual(t, good, text)
			_, err := truth.Load(truth.Names{Faults: []string{"service-port"}}, entry(text))
			require.ErrorContains(t, err, tc.want)
			require.Len(t, strings.Split(err.Error(), "\n"), 1, "%v", err)
			require.Equal(t, errs.Usage, errs.PartyOf(err))
		})
	}
}

func TestEveryDrawIsChecked(t *testing.T) {
	t.Parallel()
	names := truth.Names{
		Faults: []string{"service-port"},
		Fault: func(ref truth.FaultRef) error {
			if ref.Params["service"] == "rate" {
				return errors.New("no such service\nreally")
			}
			return nil
		},
		SLOs: func(app string) []string {
			require.Equal(t, "hotel", app)
			return []string{"geo-availability"}
		},
	}
	text := strings.Replace(good, `query: up{namespace="${namespace}"} == 0`, "slo: ${target}-availability", 1)
	_, err := truth.Load(names, entry(text))
	require.EqualError(t, err, `cat/p/truth.yaml:6:13: faults[0].params: no such service; really (drawn: namespace=hotel target=rate)
cat/p/truth.yaml:11:12: symptom.any[1].slo: unknown objective "rate-availability"; did you mean "geo-availability"? known: geo-availability (drawn: namespace=hotel target=rate)`)
	require.Equal(t, errs.Usage, errs.PartyOf(err))
}

// TestCatalogTruths reads every truth that is compiled in.
func TestCatalogTruths(t *testing.T) {
	t.Parallel()
	c, err := problems.LoadCatalog(problems.Names{}, problems.Embedded())
	require.NoError(t, err)
	for _, p := range c.All() {
		t.Run(p.ID, func(t *testing.T) {
			t.Parallel()
			raw, err := truth.Load(truth.Names{}, p)
			require.NoError(t, err)
			for seed := range int64(5) {
				_, err = raw.Resolve(p.Draw(seed))
				require.NoError(t, err)
			}
		})
	}
}
