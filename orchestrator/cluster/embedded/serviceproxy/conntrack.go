package serviceproxy

import (
	"context"
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Where kubeadm puts kube-proxy's configuration.
const (
	configName = "kube-proxy"
	configKey  = "config.conf"
)

// ConntrackTable is what has a connection tracking table: *network.Network.
type ConntrackTable interface {
	// SetConntrackMax sets its size; 0 is the default.
	SetConntrackMax(size int)
}

// FollowConntrack sizes a node's connection tracking table as the ConfigMap kube-proxy in kube-system says, until ctx ends, which is
// no error. Unlike kube-proxy it needs no restart.
func FollowConntrack(ctx context.Context, client kubernetes.Interface, table ConntrackTable, cores int, log *slog.Logger) error {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(metav1.NamespaceSystem),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, configName).String()
		}))
	informer := factory.Core().V1().ConfigMaps().Informer()
	set := func(obj any) {
		config, ok := obj.(*corev1.ConfigMap)
		if !ok || config.Name != configName {
			return
		}
		size, err := conntrackMax(config.Data[configKey], cores)
		if err != nil {
			log.Warn("configuration of kube-proxy not followed", "err", err)
			return
		}
		table.SetConntrackMax(size)
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: set, UpdateFunc: func(_, obj any) { set(obj) }, DeleteFunc: func(any) { table.SetConntrackMax(0) },
	}); err != nil {
		return fmt.Errorf("watch configuration of kube-proxy: %w", err)
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	<-ctx.Done()
	return nil
}

// conntrackMax computes the size of the table as kube-proxy does; 0 leaves it as it is.
func conntrackMax(text string, cores int) (int, error) {
	var config struct {
		Conntrack struct {
			MaxPerCore *int `json:"maxPerCore"`
			Min        *int `json:"min"`
		} `json:"conntrack"`
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		return 0, fmt.Errorf("read %s: %w", configKey, err)
	}
	perCore, least := deref(config.Conntrack.MaxPerCore, 32*1024), deref(config.Conntrack.Min, 128*1024)
	if perCore <= 0 {
		return 0, nil
	}
	return max(perCore*cores, least), nil
}
