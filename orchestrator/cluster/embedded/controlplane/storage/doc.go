// Package storage is the persistent storage of an embedded cluster: its storage classes, the provisioner and the resizer
// behind them, and Kubernetes' own binder of claims and volumes.
//
// A provisioned volume is a directory below the root of one node (DataDir), given out as a local volume that only that
// node has. The provisioner is the library that external provisioners are made of (sig-storage-lib-external-provisioner);
// what happens on the node's disk, the control plane's process does in its place while the node is Ready, where elsewhere a
// helper pod on the node would.
package storage
