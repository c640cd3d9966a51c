//go:build tools

package main

import _ "k8s.io/kubernetes/test/e2e" // The tests: this keeps what they need in go.mod.
