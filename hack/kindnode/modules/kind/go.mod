module github.com/gameday-bench/gameday/hack/kindnode/modules/kind

go 1.26.3

// The version in the project's go.mod. Nothing of it is built: its module has the files of a node.

tool sigs.k8s.io/kind

require sigs.k8s.io/kind v0.33.0
