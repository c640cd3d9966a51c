// Command gameday-cluster is one process of an embedded cluster: its control plane or one of its nodes.
//
// It is started by gameday and is of little use by hand. It is a binary of its own so that gameday itself starts in
// milliseconds and builds without Kubernetes.
package main

import (
	"os"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
