// Package cri is the container runtime of an embedded cluster's node: Kubernetes' container runtime interface, implemented
// in process, with pods on the userspace network and containers that are ordinary processes.
//
// A pod sandbox is an address on the node's Network. A container is a process of a program binary (for example gameday-pod)
// in a process group of its own, with a directory as its root file system, its standard output in the kubelet's log format,
// and a socket to its pod's network. An image is a program and its build variant.
//
// What a kernel does for containers elsewhere is done here by watching: memory over the limit is an OOM kill, CPU over the
// quota is taken back by stopping the process for the rest of its periods, and both are counted as cgroups count them. So the
// runtime needs no privilege. Mount namespaces are replaced by the container's mount table, which programs resolve
// themselves (workloads/program).
//
// The records of sandboxes and containers are kept on disk: after a crash of the node, New finds what ran before and
// reports it as ended with an unknown exit code, as containerd does after a reboot.
package cri
