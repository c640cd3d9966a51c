// Package e2e holds the tests of Chaos Mesh on a whole embedded cluster: the manifests of Chaos Mesh's own examples folder
// are applied as they are, and do to traffic and containers what its documentation says.
package e2e
