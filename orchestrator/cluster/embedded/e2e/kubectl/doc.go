// Package kubectl tests that kubectl works against the embedded cluster: every script of testdata is a session of real
// command lines, run by k8s.io/kubectl's own code in a process of its own. So is what a cluster must refuse: manifests that
// are wrong, and ways out of a container.
package kubectl
