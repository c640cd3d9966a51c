// Package controlplane runs a Kubernetes control plane in one process: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, and Chaos Mesh's controllers.
//
// The components are upstream's own, started through the functions that their commands call. What is around them is
// small: the settings (package flags), the way into the userspace network (package egress), and the objects that an
// installer would create (package addons). Chaos Mesh's definitions are those of every cluster (orchestrator/chaosmesh/crds).
package controlplane
