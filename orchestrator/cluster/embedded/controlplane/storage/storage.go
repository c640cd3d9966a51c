package storage

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// Provisioner is the name in the storage classes: that of the provisioner of a kind cluster.
const Provisioner = "rancher.io/local-path"

// The storage classes.
const (
	// ClassStandard is the default: volumes come with their first pod, and go with their claim.
	ClassStandard = "standard"
	// ClassRetain makes volumes at once, on a node of the provisioner's choice, and keeps them.
	ClassRetain = "standard-retain"
)

// Classes are the storage classes of a new cluster.
func Classes() []*storagev1.StorageClass {
	class := func(name string, reclaim corev1.PersistentVolumeReclaimPolicy, mode storagev1.VolumeBindingMode, isDefault string) *storagev1.StorageClass {
		expand := true
		return &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": isDefault},
			},
			Provisioner: Provisioner, ReclaimPolicy: &reclaim, VolumeBindingMode: &mode, AllowVolumeExpansion: &expand,
		}
	}
	return []*storagev1.StorageClass{
		class(ClassStandard, corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingWaitForFirstConsumer, "true"),
		class(ClassRetain, corev1.PersistentVolumeReclaimRetain, storagev1.VolumeBindingImmediate, "false"),
	}
}

// Start creates the storage classes and starts the binder, the provisioner and the resizer. They run until ctx ends. admin
// may impersonate others; the API server has to hold its bootstrap roles. Classes that exist are left alone.
func Start(ctx context.Context, cluster *spec.Cluster, admin *rest.Config, log *slog.Logger) error {
	client, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return fmt.Errorf("build storage client: %w", err)
	}
	for _, class := range Classes() {
		if _, err := client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create storage class %s: %w", class.Name, err)
		}
	}
	// One set of caches for all three.
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(stripped))
	binder, err := newBinder(ctx, cluster, admin, factory)
	if err != nil {
		return err
	}
	core := factory.Core().V1()
	nodes := &nodeDisks{cluster: cluster, nodes: core.Nodes().Lister(), volumes: core.PersistentVolumes().Lister()}
	provisioner := controller.NewProvisionController(ctx, named{client}, Provisioner, nodes,
		controller.LeaderElection(false), controller.MetricsPort(0), controller.RateLimiter(retries(cluster.Timing)),
		controller.ClaimsInformer(core.PersistentVolumeClaims().Informer()), controller.VolumesInformer(core.PersistentVolumes().Informer()),
		controller.ClassesInformer(factory.Storage().V1().StorageClasses().Informer()))
	resizer, err := newResizer(client, factory, retries(cluster.Timing), log)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	go binder.Run(ctx)
	go provisioner.Run(ctx)
	go resizer.run(ctx)
	return nil
}

// retries is how long a failed operation waits: with upstream's periods when the cluster has them, else in seconds.
func retries(t spec.Timing) workqueue.TypedRateLimiter[string] {
	if t.CrashBackoffMax < time.Minute {
		return workqueue.NewTypedItemExponentialFailureRateLimiter[string](time.Second, 5*time.Second)
	}
	return workqueue.NewTypedItemExponentialFailureRateLimiter[string](15*time.Second, 15*time.Second)
}

// stripped takes out of a cached object what no controller reads.
func stripped(obj any) (any, error) {
	if m, err := meta.Accessor(obj); err == nil {
		m.SetManagedFields(nil)
	}
	return obj, nil
}
