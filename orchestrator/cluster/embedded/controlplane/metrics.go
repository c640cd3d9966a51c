package controlplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	apiregistration "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/typed/apiregistration/v1"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/addons"
)

// metricsPoll is how often metrics-server is looked at until it serves.
const metricsPoll = 500 * time.Millisecond

// registerMetrics adds metrics.k8s.io to the API when metrics-server can answer for it. It does not wait: that is when there
// are nodes, after the control plane is ready.
//
// A group without a server is a fault: discovery is incomplete, kubectl warns and no namespace can be deleted. A cluster
// should not begin its life with one. What happens to metrics-server later is not hidden.
func (p *plane) registerMetrics(ctx context.Context, admin *rest.Config) error {
	kube, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	registry, err := apiregistration.NewForConfig(admin)
	if err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	go func() {
		tick := time.NewTicker(metricsPoll)
		defer tick.Stop()
		for {
			err := register(ctx, kube, registry)
			if err == nil {
				p.mark("metrics.k8s.io")
				return
			}
			p.log.Debug("metrics.k8s.io is not registered yet", "reason", err)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return nil
}

var errNotServing = errors.New("metrics-server does not serve yet")

// register creates the APIService if metrics-server is available.
func register(ctx context.Context, kube kubernetes.Interface, registry apiregistration.APIServicesGetter) error {
	service := addons.MetricsAPI()
	d, err := kube.AppsV1().Deployments(service.Spec.Service.Namespace).Get(ctx, service.Spec.Service.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if d.Status.AvailableReplicas == 0 {
		return errNotServing
	}
	_, err = registry.APIServices().Create(ctx, service, metav1.CreateOptions{})
	if alreadyExists(err) {
		return nil
	}
	return err
}
