// Package node is one node of an embedded cluster: the real kubelet over this project's container runtime and userspace
// network, in one process.
//
// The kubelet is Kubernetes' own. What it is given differs from a machine's: a mounter that makes directories instead of
// mounts, a container manager without cgroups, machine figures from the cluster's plan, and dialers into the userspace
// network for probes and lifecycle hooks. There can be one node per process, since the kubelet registers its metrics
// and its flags once.
package node
