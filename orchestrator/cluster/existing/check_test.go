package existing

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/preflight"
)

func find(t *testing.T, checks []preflight.Check, name string) preflight.Check {
	t.Helper()
	i := slices.IndexFunc(checks, func(c preflight.Check) bool { return c.Name == name })
	require.GreaterOrEqual(t, i, 0, "%s in %v", name, checks)
	return checks[i]
}

func TestAGoodClusterPassesEveryCheck(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	p, _ := newProvider(t, s)
	checks := p.Check(t.Context())
	var names []string
	for _, c := range checks {
		names = append(names, c.Name)
		require.True(t, c.OK, "%+v", c)
		require.NotEmpty(t, c.Detail, c.Name)
	}
	require.Equal(t, []string{
		"context", "not production", "server", "rights", "names", "claim", "nodes", "capacity", "storage", "Chaos Mesh", "registry",
	}, names)
	require.NoError(t, CheckError("staging", checks))
	require.Contains(t, find(t, checks, "context").Detail, s.url)
	require.Equal(t, "Kubernetes v1.35.4", find(t, checks, "server").Detail)
	require.Contains(t, find(t, checks, "Chaos Mesh").Detail, "it will be, in namespace chaos-mesh")
	require.Empty(t, s.written(), "nothing is made or changed")
}

// lease is the Lease of a run that was seen some time ago.
func lease(ago time.Duration) string {
	return fmt.Sprintf("apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: claim, namespace: gameday-system, annotations: {gameday.dev/holder: \"ada on engine, process 7\"}}\nspec: {holderIdentity: run-1, renewTime: %q}\n",
		time.Now().Add(-ago).UTC().Format("2006-01-02T15:04:05.000000Z07:00"))
}

func TestWhatIsWrongIsFoundBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	ours := "gameday.dev/owner: run-1"
	definition := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: networkchaos.chaos-mesh.org}\nspec: {group: chaos-mesh.org}\n"
	for name, tc := range map[string]struct {
		server   func(t *testing.T, s *apiServer)
		provider func(p *Provider)
		check    string
		detail   string
		hint     string
	}{
		"production": {provider: func(p *Provider) { p.Context = "prod-eu" }, check: "not production", detail: `"prod-eu" looks like production`, hint: "--allow-context"},
		"too old":    {server: func(_ *testing.T, s *apiServer) { s.version = "v1.27.9+k3s1" }, check: "server", detail: "Kubernetes v1.27.9+k3s1 is too old", hint: "version 1.28 or later"},
		"no version": {server: func(_ *testing.T, s *apiServer) { s.version = "nginx" }, check: "server", detail: `calls its version "nginx"`, hint: "Kubernetes API server"},
		"no registry": {
			provider: func(p *Provider) { p.Registry = "" }, check: "registry", detail: "none is given", hint: "gameday images push REGISTRY",
		},
		"a URL for a registry":         {provider: func(p *Provider) { p.Registry = "https://ghcr.io/me" }, check: "registry", detail: "is not a registry", hint: "ghcr.io/me/exercise"},
		"the registry of the manifest": {provider: func(p *Provider) { p.Registry = "registry.local/mine" }, check: "registry", detail: "which nothing serves", hint: "push"},
		"rights": {
			server: func(_ *testing.T, s *apiServer) {
				s.denied = func(a authorizationv1.ResourceAttributes) bool {
					return a.Verb == "*" || a.Resource == "clusterroles" && a.Verb == "create" || a.Resource == "pods" && a.Subresource == "exec"
				}
			},
			check: "rights", detail: "not allowed in all namespaces: create clusterroles.rbac.authorization.k8s.io, create pods/exec", hint: "cluster-admin",
		},
		"namespace taken": {
			server: func(t *testing.T, s *apiServer) { s.add(t, namespaceYAML("monitoring", "team: a")) },
			check:  "names", detail: "taken by somebody else: namespace monitoring", hint: "virtual cluster",
		},
		"roles taken": {
			server: func(t *testing.T, s *apiServer) {
				s.add(t, "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: oncall}\n",
					"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: \"monitoring:prometheus\"}\n")
			},
			check: "names", detail: "clusterrole monitoring:prometheus, clusterrole oncall", hint: "rename",
		},
		"in use": {
			server: func(t *testing.T, s *apiServer) { s.add(t, namespaceYAML(Home, ours), lease(10*time.Second)) },
			check:  "claim", detail: "in use by ada on engine, process 7, last seen at", hint: "wait until that run has ended",
		},
		"left by a killed run": {
			server: func(t *testing.T, s *apiServer) { s.add(t, namespaceYAML(Home, ours), lease(10*time.Minute)) },
			check:  "claim", detail: "a run was killed and has left something: ada on engine", hint: "gameday delete cluster --cluster existing --context staging --kubeconfig ",
		},
		"a namespace was left": {
			server: func(t *testing.T, s *apiServer) { s.add(t, namespaceYAML("hotel", ours)) },
			check:  "claim", detail: "an earlier run has left namespace hotel", hint: "gameday delete cluster",
		},
		"node not ready": {
			server: func(t *testing.T, s *apiServer) { s.add(t, strings.ReplaceAll(goodNode("n2"), `"True"`, `"Unknown"`)) },
			check:  "nodes", detail: "1 of 2 are not ready: n2", hint: "repair or remove",
		},
		"foreign node": {
			server: func(t *testing.T, s *apiServer) {
				s.add(t, strings.ReplaceAll(goodNode("n3"), runtime.GOARCH, "s390x"))
			},
			check: "nodes", detail: "n3 are not linux/" + runtime.GOARCH, hint: "taint",
		},
		"no node takes pods": {
			server: func(t *testing.T, s *apiServer) {
				for _, n := range []string{"n1", "n2"} {
					s.add(t, strings.Replace(goodNode(n), `"status"`, `"spec":{"taints":[{"key":"a","effect":"NoSchedule"}]},"status"`, 1))
				}
			},
			check: "nodes", detail: "none of 2 takes pods", hint: "without taints",
		},
		"no room": {
			server: func(t *testing.T, s *apiServer) {
				for _, n := range []string{"n1", "n2"} {
					s.add(t, fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"fat-%s","namespace":"shop"},"spec":{"nodeName":%q,"containers":[{"name":"c","resources":{"requests":{"cpu":"7900m"}}}]},"status":{"phase":"Running"}}`, n, n))
				}
			},
			check: "capacity", detail: "free are 0.2 CPU, 32.0 GiB and 218 pods", hint: "use another cluster",
		},
		"Chaos Mesh does not run": {
			server: func(t *testing.T, s *apiServer) { s.add(t, chaosController("chaos", 0)) },
			check:  "Chaos Mesh", detail: "it is installed in namespace chaos and does not run", hint: "describe deployment",
		},
		"remains of Chaos Mesh": {
			server: func(t *testing.T, s *apiServer) { s.add(t, definition) },
			check:  "Chaos Mesh", detail: "but for 1 definitions", hint: "delete crd networkchaos.chaos-mesh.org",
		},
		"no chart": {provider: func(p *Provider) { p.Chaos.Chart = "/nonexistent.tgz" }, check: "Chaos Mesh", detail: "/nonexistent.tgz", hint: "--chaos-mesh-chart"},
		"a chart that is none": {
			provider: func(p *Provider) { p.Chaos.Chart = "check_test.go" }, check: "Chaos Mesh", detail: "read chart check_test.go", hint: "--chaos-mesh-chart",
		},
		"images that are none": {
			provider: func(p *Provider) {
				p.Chaos = chaosmesh.Options{Chart: "../../chaosmesh/testdata/chart", Images: "./images.tar"}
			},
			check: "Chaos Mesh", detail: `"./images.tar" is no REGISTRY`, hint: "registry.example.com/mirror",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newAPIServer(t)
			p, m := newProvider(t, s)
			p.Kubeconfig = kubeconfig(t, s.url, "elsewhere", "staging", "prod-eu")
			if tc.server != nil {
				tc.server(t, s)
			}
			if tc.provider != nil {
				tc.provider(p)
			}
			checks := p.Check(t.Context())
			for _, c := range checks {
				require.Equal(t, c.Name != tc.check, c.OK, "%+v", c)
				require.Equal(t, c.Name == tc.check, c.Hint != "", "%+v", c)
			}
			bad := find(t, checks, tc.check)
			require.True(t, bad.Required)
			require.Contains(t, bad.Detail, tc.detail)
			require.Contains(t, bad.Hint, tc.hint)
			_, err := p.Up(t.Context(), cluster.Spec{})
			require.ErrorContains(t, err, "use existing cluster: context "+p.Context+" is not ready: "+tc.check+": ")
			require.Equal(t, errs.Infra, errs.PartyOf(err))
			require.Equal(t, errs.ExitEnvironment, errs.ExitCode(err))
			require.Contains(t, errs.HintOf(err), tc.hint)
			require.Contains(t, errs.HintOf(err), "gameday doctor --cluster existing --context "+p.Context)
			require.Empty(t, s.written())
			require.Zero(t, m.installs)
			require.NoError(t, p.Close(t.Context()))
		})
	}
}

func TestADeadServer(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	p, _ := newProvider(t, s)
	p.Kubeconfig = kubeconfig(t, "http://127.0.0.1:1", "staging")
	checks := p.Check(t.Context())
	bad := find(t, checks, "server")
	require.Contains(t, bad.Detail, "http://127.0.0.1:1 cannot be reached: ")
	require.Contains(t, bad.Hint, "kubectl --context staging version")
	require.Len(t, checks, 4, "what would come after is left out: %v", checks)
}

func TestWhatIsAllowedIsNoFinding(t *testing.T) {
	t.Parallel()
	s := newAPIServer(t)
	s.version = "v1.99.0"
	s.add(t, chaosController("chaos", 1))
	p, _ := newProvider(t, s)
	p.Kubeconfig, p.Context, p.AllowContext = kubeconfig(t, s.url, "prod-eu"), "prod-eu", true
	checks := p.Check(t.Context())
	require.NoError(t, CheckError("prod-eu", checks))
	require.Contains(t, find(t, checks, "not production").Detail, "is allowed")
	require.Contains(t, find(t, checks, "server").Detail, "newer than 1.35")
	require.Equal(t, "2.7.2 in namespace chaos", find(t, checks, "Chaos Mesh").Detail)
	p.Registry = "registry.local"
	require.Contains(t, find(t, p.Check(t.Context()), "registry").Detail, "nothing is pulled")
	s.remove("/apis/storage.k8s.io/v1/storageclasses/standard")
	storage := find(t, p.Check(t.Context()), "storage")
	require.True(t, storage.OK, "no application has claims: %+v", storage)
	require.False(t, storage.Required)
}

func TestCheckErrorNamesEverything(t *testing.T) {
	t.Parallel()
	err := CheckError("c", []preflight.Check{{Name: "a", Required: true, Detail: "none", Hint: "get one"}, {Name: "b"}, {Name: "d", OK: true, Required: true}, {Name: "e", Required: true, Detail: "bad"}})
	require.EqualError(t, err, "context c is not ready: a: none; e: bad")
	require.Equal(t, "a: get one; see all with: gameday doctor --cluster existing --context c", errs.HintOf(err))
}
