// Package ingress puts an ingress controller on a cluster: the objects with which ingress-nginx is installed. The program
// itself is package controller, and heavier.
package ingress

import (
	"embed"
	"fmt"

	"github.com/gameday-bench/gameday/workloads/addon"
)

// Namespace is where the controller lives, Service is its Service there, Class is the name of its IngressClass, and
// MetricsPort is where it serves /metrics and /healthz.
const (
	Namespace   = "ingress-nginx"
	Service     = "ingress-nginx-controller"
	Class       = "nginx"
	MetricsPort = 10254
)

// ControllerImage is the controller's image. It is named here, and not taken from the program's package, because that is heavy.
const ControllerImage = "registry.local/ingress-nginx/controller:v1.13.3"

//go:embed manifests/*.yaml
var files embed.FS

// New returns the controller as an App. There is one for a cluster.
func New() addon.Addon {
	return addon.Addon{Files: files, Vars: map[string]string{
		"image": ControllerImage, "service": Service, "class": Class, "metricsPort": fmt.Sprint(MetricsPort),
	}}
}
