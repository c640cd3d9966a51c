package kubestate

import (
	"io"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// Collector writes the metrics of all objects as they are now. It is safe for concurrent use.
type Collector struct {
	sources []source
}

// source is one kind of object and how it shows.
type source struct {
	objects cache.Store
	collect func(page, any)
}

// kind makes a source of typed objects.
func kind[T any](i cache.SharedIndexInformer, collect func(page, T)) source {
	return source{i.GetStore(), func(p page, obj any) {
		if o, ok := obj.(T); ok {
			collect(p, o)
		}
	}}
}

func newCollector(f informers.SharedInformerFactory) *Collector {
	return &Collector{sources: []source{
		kind(f.Core().V1().Pods().Informer(), collectPod),
		kind(f.Core().V1().Nodes().Informer(), collectNode),
		kind(f.Core().V1().Services().Informer(), collectService),
		kind(f.Core().V1().Namespaces().Informer(), collectNamespace),
		kind(f.Core().V1().PersistentVolumeClaims().Informer(), collectClaim),
		kind(f.Core().V1().ResourceQuotas().Informer(), collectQuota),
		kind(f.Discovery().V1().EndpointSlices().Informer(), collectSlice),
		kind(f.Apps().V1().Deployments().Informer(), collectDeployment),
		kind(f.Apps().V1().StatefulSets().Informer(), collectStatefulSet),
		kind(f.Apps().V1().DaemonSets().Informer(), collectDaemonSet),
		kind(f.Apps().V1().ReplicaSets().Informer(), collectReplicaSet),
		kind(f.Batch().V1().Jobs().Informer(), collectJob),
		kind(f.Batch().V1().CronJobs().Informer(), collectCronJob),
		kind(f.Policy().V1().PodDisruptionBudgets().Informer(), collectBudget),
		kind(f.Autoscaling().V2().HorizontalPodAutoscalers().Informer(), collectAutoscaler),
	}}
}

// WriteTo writes the metrics in Prometheus's text format.
func (c *Collector) WriteTo(w io.Writer) (int64, error) {
	p := page{}
	for _, s := range c.sources {
		for _, obj := range s.objects.List() {
			s.collect(p, obj)
		}
	}
	return p.WriteTo(w)
}

// owner adds who controls an object.
func (p page) owner(name string, l labels, owners []metav1.OwnerReference) {
	for _, o := range owners {
		controller := "false"
		if o.Controller != nil && *o.Controller {
			controller = "true"
		}
		p.add(name, l.with("owner_kind", o.Kind, "owner_name", o.Name, "owner_is_controller", controller), 1)
	}
}

// condition adds one sample per condition and status.
func (p page) condition(name string, l labels, condition string, status corev1.ConditionStatus) {
	is := map[corev1.ConditionStatus]string{corev1.ConditionTrue: "true", corev1.ConditionFalse: "false"}[status]
	if is == "" {
		is = "unknown"
	}
	p.set(name, l.with("condition", condition), "status", is, "true", "false", "unknown")
}

// resources adds quantities in kube-state-metrics' units: cores, bytes and integers.
func (p page) resources(name string, l labels, list corev1.ResourceList) {
	for _, resource := range slices.Sorted(maps.Keys(list)) {
		q := list[resource]
		unit, value := "integer", float64(q.Value())
		switch resource {
		case corev1.ResourceCPU:
			unit, value = "core", q.AsApproximateFloat64()
		case corev1.ResourceMemory, corev1.ResourceEphemeralStorage, corev1.ResourceStorage:
			unit = "byte"
		}
		p.add(name, l.with("resource", sanitize(string(resource)), "unit", unit), value)
	}
}

// sanitize turns a resource's name into a label value as kube-state-metrics does.
func sanitize(s string) string {
	out := []byte(s)
	for i, c := range out {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			out[i] = '_'
		}
	}
	return string(out)
}

func orZero[T int32 | int64](v *T) float64 {
	if v == nil {
		return 0
	}
	return float64(*v)
}

func orOne(v *int32) float64 {
	if v == nil {
		return 1
	}
	return float64(*v)
}
