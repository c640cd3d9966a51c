// Package clustertest is what tests on a whole cluster are written with: a Fixture brings up one cluster for all tests of
// a package, a Rig is one test's namespace on it, and a Site is the hotel application under load, whose telemetry shows
// what a fault does to users.
//
// A package uses it like this:
//
//	var fixture = clustertest.New(&embedded.Provider{}, cluster.Spec{Nodes: 2})
//
//	func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		r := fixture.Rig(t)
//		r.Apply(manifest)
//		r.Running("client")
//		require.Equal(t, "hello", r.OK("client", "echo hello"))
//	}
//
// Nothing here depends on one provider: the same tests run on any cluster, and Conformance holds every provider against the same suite.
package clustertest
