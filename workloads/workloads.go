// Package workloads holds what runs in the cluster: applications and the load on them.
package workloads

import (
	"context"
	"log/slog"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// App is a microservice application on one cluster. Methods are called one at a time.
type App interface {
	// Deploy applies the application's objects and returns when the API server has accepted them.
	Deploy(ctx context.Context, env Env) error
	// Ready blocks until every workload is available and the application's own readiness holds (stores seeded), or ctx ends;
	// then the error says what is not ready and why.
	Ready(ctx context.Context, env Env) error
	// Remove deletes everything that Deploy made and waits until it is gone.
	Remove(ctx context.Context, env Env) error
}

// Env is what an App and a Load act through. Every field but Registry is set.
type Env struct {
	Kubernetes kubernetes.Interface
	Dynamic    dynamic.Interface
	REST       *rest.Config
	Namespace  string
	// Registry is where images are pulled from in place of objects.Registry; empty means from there.
	Registry string
	Log      *slog.Logger
}
