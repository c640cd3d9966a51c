// Package cacheoperator puts the cache operator on a cluster: its CustomResourceDefinition, its rights and its Deployment.
// The API is package v1alpha1; the program is package controller, and heavier.
package cacheoperator

import (
	"embed"
	"fmt"

	"github.com/gameday-bench/gameday/workloads/addon"
)

// Namespace is where the operator lives, Name is its Deployment there, and MetricsPort is where it serves /metrics, /healthz
// and /readyz.
const (
	Namespace   = "cache-operator"
	Name        = "cache-operator"
	MetricsPort = 8080
)

// Image is the operator's image. It is named here, and not taken from the program's package, because that is heavy.
const Image = "registry.local/platform/cache-operator:v0.1.0"

//go:generate go run generate.go

//go:embed manifests/*.yaml
var files embed.FS

// New returns the operator as an App. There is one for a cluster. The caches go with it.
func New() addon.Addon {
	return addon.Addon{Files: files, Vars: map[string]string{"image": Image, "name": Name, "metricsPort": fmt.Sprint(MetricsPort)}}
}
