// Command local-path-lite provisions volumes of the classes "standard" and "standard-retain" on a kind cluster, in place of the local path
// provisioner: as directories of the node that a pod was scheduled to or, for claims that are bound at once, of one that takes pods. Each node runs
// one, for its own volumes.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// provisioner is the name in the storage class: that of the provisioner that this stands in for.
const provisioner = "rancher.io/local-path"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv("NODE_NAME")); err != nil {
		slog.Error("local-path-lite cannot start", "error", err)
		os.Exit(1)
	}
}

// run provisions until ctx ends.
func run(ctx context.Context, node string) error {
	if node == "" {
		return errors.New("NODE_NAME is empty: want the name of the node")
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	// There is nothing to elect: nobody else provisions on this node. Nobody reads metrics, either.
	d := &disk{node: node, dir: directory, open: func(ctx context.Context) ([]string, error) { return open(ctx, client) }}
	c := controller.NewProvisionController(ctx, client, provisioner, d,
		controller.LeaderElection(false), controller.MetricsPort(0),
		controller.RateLimiter(workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, time.Minute)))
	c.Run(ctx)
	return nil
}
