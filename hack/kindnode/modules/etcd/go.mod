module github.com/gameday-bench/gameday/hack/kindnode/modules/etcd

go 1.26.3

// The version that kubeadm of modules/kubernetes asks for.

tool go.etcd.io/etcd/server/v3

require go.etcd.io/etcd/server/v3 v3.6.6
