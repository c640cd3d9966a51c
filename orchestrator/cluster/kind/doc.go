// Package kind brings up clusters whose nodes are containers of Docker, Podman or nerdctl, through the library of kind
// (https://kind.sigs.k8s.io): real nodes with a real container runtime, network and storage, and real Chaos Mesh.
//
// The containers of a cluster are called gameday-OWNER-NAME-control-plane, gameday-OWNER-NAME-worker and so on, where OWNER stands for
// the directory of records (see package record) that the cluster belongs to: what a killed process left is found by kind's label and
// this prefix, and nobody removes what is somebody else's. Inside the cluster the nodes are called control-plane, node-1, node-2 and so
// on, as on the embedded cluster: nothing that an agent sees tells of the harness.
//
// kind's library runs the engine's command without a context. Every call of it goes through bounded, which ends the commands
// that it has started when the context ends.
package kind
