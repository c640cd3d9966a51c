module github.com/gameday-bench/gameday/hack/kindnode/modules/crictl

go 1.26.3

// The version in kind's own base image.

tool sigs.k8s.io/cri-tools/cmd/crictl

require sigs.k8s.io/cri-tools v1.36.0
