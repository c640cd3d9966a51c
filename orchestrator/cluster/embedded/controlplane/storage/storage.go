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

// Controllers bind, make, grow and remove persistent volumes.
type Controllers struct {
	cluster *spec.Cluster
	admin   *rest.Config
	log     *slog.Logger
	client  kubernetes.Interface
	// factory has one set of caches for all.
	factory     informers.SharedInformerFactory
	provisioner *controller.ProvisionController
}

// New prepares the controllers; nothing is asked of the API server. admin may impersonate others.
//
// Call it before anything else in the process decodes objects of Kubernetes: the library of the provisioner registers types with the scheme that all
// clients read without a lock.
func New(ctx context.Context, cluster *spec.Cluster, admin *rest.Config, log *slog.Logger) (*Controllers, error) {
	client, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return nil, fmt.Errorf("build storage client: %w", err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(stripped))
	core := factory.Core().V1()
	nodes := &nodeDisks{cluster: cluster, nodes: core.Nodes().Lister(), volumes: core.PersistentVolumes().Lister()}
	provisioner := controller.NewProvisionController(ctx, named{client}, Provisioner, nodes,
		controller.LeaderElection(false), controller.MetricsPort(0), controller.RateLimiter(retries(cluster.Timing)),
		controller.ClaimsInformer(core.PersistentVolumeClaims().Informer()), controller.VolumesInformer(core.PersistentVolumes().Informer()),
		controller.ClassesInformer(factory.Storage().V1().StorageClasses().Informer()))
	return &Controllers{cluster: cluster, admin: admin, log: log, client: client, factory: factory, provisioner: provisioner}, nil
}

// Start creates the storage classes and starts the binder, the provisioner and the resizer. They run until ctx ends. The
// API server has to hold its bootstrap roles. Classes that exist are left alone. It is called once.
func (c *Controllers) Start(ctx context.Context) error {
	for _, class := range Classes() {
		if _, err := c.client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create storage class %s: %w", class.Name, err)
		}
	}
	binder, err := newBinder(ctx, c.cluster, c.admin, c.factory)
	if err != nil {
		return err
	}
	resizer, err := newResizer(c.client, c.factory, retries(c.cluster.Timing), c.log)
	if err != nil {
		return err
	}
	c.factory.Start(ctx.Done())
	go binder.Run(ctx)
	go c.provisioner.Run(ctx)
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
