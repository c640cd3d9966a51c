// Package e2e tests the kind provider, and gameday with it, on real clusters in Docker. make e2e-kind runs it, in the order of steps; the build
// tag kind keeps it out of every other test run. These variables tell it where things are:
//
//	GAMEDAY_BIN_DIR             the binaries
//	GAMEDAY_KIND_NODE_IMAGE     the node image; empty: the stock one
//	GAMEDAY_CHAOS_MESH_CHART    the chart of Chaos Mesh; empty: the pinned one
//	GAMEDAY_CHAOS_MESH_IMAGES   its images; empty: those of the chart
//	GAMEDAY_E2E_DEADLINE        the second since 1970 at which the time is over: steps that do not fit into it are left out, but for
//	                            those that matter most; empty or 0: never
//	GAMEDAY_E2E_OWNERS          a file to which the owners of the test's clusters are added, by the tags that are in the names of their containers
//	GAMEDAY_E2E_RUNS            the directory that keeps the run of TestAgreement and what it left out; empty: it is not played
//	GAMEDAY_E2E_DOCKERD         a shell command that starts the Docker daemon again, from the module's root; without it the
//	                            daemon is not ours to kill, and that test is skipped
package e2e
