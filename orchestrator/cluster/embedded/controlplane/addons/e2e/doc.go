// Package e2e tests what autoscalers work with on a whole embedded cluster: metrics-server, kubectl top, the adapter for
// custom and external metrics, and the autoscaler itself.
package e2e
