module github.com/gameday-bench/gameday/hack/kindnode/modules/coredns

go 1.26.3

// The version that kubeadm of modules/kubernetes asks for.

require github.com/coredns/coredns v1.13.1
