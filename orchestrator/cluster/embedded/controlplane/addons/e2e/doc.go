// Package e2e tests the add-ons on a whole embedded cluster: metrics-server, kubectl top and the autoscaler.
package e2e
