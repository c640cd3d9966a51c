// Package policies tests network policies on a whole cluster, in the matrix of pods of Kubernetes' end-to-end tests: they cut off more than an
// application shows.
package policies
