module github.com/gameday-bench/gameday/hack/kindnode/modules/containerd

go 1.26.3

// The version in kind's own base image.

tool (
	github.com/containerd/containerd/v2/cmd/containerd
	github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2
	github.com/containerd/containerd/v2/cmd/ctr
)

require github.com/containerd/containerd/v2 v2.3.4
