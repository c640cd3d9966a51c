package storage

import (
	"context"
	"fmt"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	volumeutil "k8s.io/kubernetes/pkg/volume/util"
)

// resizer is the controller's half of expansion, as CSI's external resizer does it: it grows the volume object and leaves
// the file system to the kubelet. The API server admits a larger request only when the class allows expansion.
type resizer struct {
	client   kubernetes.Interface
	claims   corelisters.PersistentVolumeClaimLister
	volumes  corelisters.PersistentVolumeLister
	synced   []cache.InformerSynced
	queue    workqueue.TypedRateLimitingInterface[string]
	recorder record.EventRecorder
	log      *slog.Logger
}

func newResizer(client kubernetes.Interface, factory informers.SharedInformerFactory, limit workqueue.TypedRateLimiter[string], log *slog.Logger) (*resizer, error) {
	claims, volumes := factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedv1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	r := &resizer{
		client: client, claims: claims.Lister(), volumes: volumes.Lister(), log: log,
		synced:   []cache.InformerSynced{claims.Informer().HasSynced, volumes.Informer().HasSynced},
		queue:    workqueue.NewTypedRateLimitingQueue(limit),
		recorder: broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "external-resizer " + Provisioner}),
	}
	enqueue := func(obj any) {
		if key, err := cache.MetaNamespaceKeyFunc(obj); err == nil {
			r.queue.Add(key)
		}
	}
	_, err := claims.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: enqueue, UpdateFunc: func(_, obj any) { enqueue(obj) },
	})
	if err != nil {
		return nil, fmt.Errorf("watch claims: %w", err)
	}
	return r, nil
}

// run works until ctx ends.
func (r *resizer) run(ctx context.Context) {
	context.AfterFunc(ctx, r.queue.ShutDown)
	if !cache.WaitForCacheSync(ctx.Done(), r.synced...) {
		return
	}
	for {
		key, stop := r.queue.Get()
		if stop {
			return
		}
		if err := r.resize(key); err != nil {
			r.log.Warn("resize volume", "claim", key, "error", err)
			r.queue.AddRateLimited(key)
		} else {
			r.queue.Forget(key)
		}
		r.queue.Done(key)
	}
}

// resize brings the volume of a claim to the size that the claim asks for.
func (r *resizer) resize(key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return err
	}
	claim, err := r.claims.PersistentVolumeClaims(namespace).Get(name)
	if apierrors.IsNotFound(err) || err == nil && claim.Status.Phase != corev1.ClaimBound {
		return nil
	}
	if err != nil {
		return err
	}
	volume, err := r.volumes.Get(claim.Spec.VolumeName)
	if err != nil {
		return err
	}
	want := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if has := claim.Status.Capacity[corev1.ResourceStorage]; want.Cmp(has) <= 0 || volume.Annotations[provisionedBy] != Provisioner {
		return nil
	}
	if claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage] == corev1.PersistentVolumeClaimNodeResizePending &&
		want.Cmp(claim.Status.AllocatedResources[corev1.ResourceStorage]) == 0 ||
		claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage] == corev1.PersistentVolumeClaimNodeResizeInProgress {
		return nil // The kubelet's turn.
	}
	r.recorder.Eventf(claim, corev1.EventTypeNormal, "Resizing", "External resizer is resizing volume %s", volume.Name)
	if claim, err = volumeutil.MarkControllerReisizeInProgress(claim, Provisioner, want, r.client); err != nil {
		return err
	}
	if has := volume.Spec.Capacity[corev1.ResourceStorage]; has.Cmp(want) < 0 {
		if _, err := volumeutil.UpdatePVSize(volume, want, r.client); err != nil {
			return err
		}
	}
	if _, err = volumeutil.MarkForFSResize(claim, r.client); err != nil {
		return err
	}
	r.recorder.Event(claim, corev1.EventTypeNormal, "FileSystemResizeRequired", "Require file system resize of volume on node")
	return nil
}

// provisionedBy is the annotation of a volume that says who made it.
const provisionedBy = "pv.kubernetes.io/provisioned-by"
