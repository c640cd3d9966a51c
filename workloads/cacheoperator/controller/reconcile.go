package controller

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/gameday-bench/gameday/workloads/cacheoperator/api/v1alpha1"
)

// fieldOwner is who owns the fields that the operator applies.
const fieldOwner = client.FieldOwner("cache-operator")

// Reconciler makes the cluster as Caches want it. It may be used concurrently for different Caches.
type Reconciler struct {
	Client client.Client
	Scheme *runtime.Scheme
	Events record.EventRecorder
}

func (r *Reconciler) setUp(m ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(m).Named("cache").For(&v1alpha1.Cache{}).
		Owns(&appsv1.StatefulSet{}).Owns(&corev1.Service{}).Owns(&policyv1.PodDisruptionBudget{}).Complete(r)
	if err != nil {
		return fmt.Errorf("set up controller: %w", err)
	}
	return nil
}

// Reconcile applies what one Cache wants and writes its status. An error is tried again, later each time: what the API server
// refuses stays as it was.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var c v1alpha1.Cache
	if err := r.Client.Get(ctx, req.NamespacedName, &c); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !c.DeletionTimestamp.IsZero() {
		// What is owned goes by the cluster's garbage collection.
		return ctrl.Result{}, nil
	}
	applied := r.apply(ctx, &c)
	if known := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.Reconciled); applied != nil && (known == nil || known.Message != applied.Error()) {
		// Once, and not for every attempt: events are rationed.
		r.Events.Event(&c, corev1.EventTypeWarning, "ReconcileFailed", applied.Error())
	}
	if err := r.report(ctx, &c, applied); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, applied
}

// apply puts the Cache's objects on the cluster. It goes on after an error, and returns the first.
func (r *Reconciler) apply(ctx context.Context, c *v1alpha1.Cache) error {
	var first error
	for _, o := range desired(c) {
		kind := o.GetObjectKind().GroupVersionKind().Kind
		err := controllerutil.SetControllerReference(c, o, r.Scheme)
		if err == nil {
			err = r.Client.Patch(ctx, o, client.Apply, fieldOwner, client.ForceOwnership)
		}
		if err != nil && first == nil {
			first = fmt.Errorf("apply %s %s: %w", kind, o.GetName(), err)
		}
	}
	return first
}

// report writes the status where it has changed.
func (r *Reconciler) report(ctx context.Context, c *v1alpha1.Cache, applied error) error {
	var set appsv1.StatefulSet
	if err := r.Client.Get(ctx, client.ObjectKeyFromObject(c), &set); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read stateful set: %w", err)
	}
	before := c.Status.DeepCopy()
	s := &c.Status
	s.ObservedGeneration, s.Replicas, s.ReadyReplicas = c.Generation, set.Status.Replicas, set.Status.ReadyReplicas
	s.Selector = metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: selector(c)})
	reconciled := metav1.Condition{Type: v1alpha1.Reconciled, Status: metav1.ConditionTrue, Reason: "Applied", Message: "The cluster's objects are as they should be."}
	if applied != nil {
		reconciled.Status, reconciled.Reason, reconciled.Message = metav1.ConditionFalse, "ReconcileFailed", applied.Error()
	}
	ready := metav1.Condition{Type: v1alpha1.Ready, Status: metav1.ConditionTrue, Reason: "AllReplicasReady"}
	if want := replicas(c); applied != nil || set.Status.ReadyReplicas < want || set.Status.UpdatedReplicas < want {
		ready.Status, ready.Reason = metav1.ConditionFalse, "ReplicasNotReady"
	}
	ready.Message = fmt.Sprintf("%d of %d replicas are ready.", set.Status.ReadyReplicas, replicas(c))
	for _, condition := range []metav1.Condition{reconciled, ready} {
		condition.ObservedGeneration = c.Generation
		meta.SetStatusCondition(&s.Conditions, condition)
	}
	if equality.Semantic.DeepEqual(before, s) {
		return nil
	}
	if err := r.Client.Status().Update(ctx, c); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}
