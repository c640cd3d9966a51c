// Package names tests on one whole cluster that names and Ingresses work as they do on any Kubernetes.
package names
