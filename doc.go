// Package gameday is a benchmark harness for AI agents that operate cloud services.
//
// A tour of the packages, in reading order:
//
//   - problems: what an agent is asked (problem.yaml); problems/truth: the answers, kept apart so that no code that faces an
//     agent can reach them.
//   - workloads: applications (workloads/apps), their stores, load and monitoring. Every in-cluster program is written
//     against workloads/program.Sys, which is a sandbox on the embedded cluster and the operating system elsewhere.
//   - orchestrator/images: the same programs as container images, for clusters with real nodes.
//   - faults: what goes wrong: Inject, Probe, Recover. faults/chaosmesh drives Chaos Mesh; faults/kube edits objects.
//   - orchestrator: the trial, phase by phase. orchestrator/cluster is the seam to where it runs;
//     orchestrator/cluster/embedded is a Kubernetes in a process tree, orchestrator/cluster/kind one in containers, and
//     orchestrator/cluster/reuse lets trials have the latter in turn; orchestrator/aci is what an agent sees.
//   - agents: the Agent seam, the wire types, and the agents that come with the harness.
//   - orchestrator/scaleout: the trials of a run in pods of a Kubernetes cluster, each with an embedded cluster.
//   - evaluator: pure graders over truth, submission and evidence; a stored run can be graded again offline.
//   - scenarios, results: which trials to run, and the run directory with everything that happened.
//   - cmd: the binaries. gameday is the command line; gameday-cluster is the embedded cluster's processes;
//     gameday-dns, gameday-mysql, gameday-pod and gameday-prometheus hold the programs that run in containers.
//
// docs/ speaks to users; docs/decisions says why things are as they are.
package gameday
