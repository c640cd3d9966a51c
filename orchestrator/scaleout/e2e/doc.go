// Package e2e plays runs on a real cluster with three nodes, in containers of Docker, with --executor kubernetes. make e2e-kind runs
// it; the build tag kind keeps it out of every other test run. The variables are those of orchestrator/cluster/kind/e2e.
package e2e
