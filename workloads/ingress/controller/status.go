package controller

import (
	"context"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// publish writes the controller's address into the status of its Ingresses. All replicas write the same.
func (c *Controller) publish(ctx context.Context, ours []*networkingv1.Ingress) {
	namespace, name, ok := strings.Cut(c.PublishService, "/")
	if !ok {
		return
	}
	svc := c.store.service(namespace, name)
	if svc == nil {
		return
	}
	want := addressesOf(svc)
	for _, ing := range ours {
		if reflect.DeepEqual(ing.Status.LoadBalancer.Ingress, want) {
			continue
		}
		next := ing.DeepCopy()
		next.Status.LoadBalancer.Ingress = want
		_, err := c.Client.NetworkingV1().Ingresses(ing.Namespace).UpdateStatus(ctx, next, metav1.UpdateOptions{})
		// After a conflict the newer version comes through the watch.
		if err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			c.Log.Warn("update status of ingress", "ingress", ing.Namespace+"/"+ing.Name, "err", err)
		}
	}
}

// addressesOf are the addresses under which a Service is reached from outside, or, where it has none, inside.
func addressesOf(svc *corev1.Service) []networkingv1.IngressLoadBalancerIngress {
	var out []networkingv1.IngressLoadBalancerIngress
	for _, i := range svc.Status.LoadBalancer.Ingress {
		out = append(out, networkingv1.IngressLoadBalancerIngress{IP: i.IP, Hostname: i.Hostname})
	}
	for _, ip := range svc.Spec.ExternalIPs {
		out = append(out, networkingv1.IngressLoadBalancerIngress{IP: ip})
	}
	switch {
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		out = append(out, networkingv1.IngressLoadBalancerIngress{Hostname: svc.Spec.ExternalName})
	case len(out) == 0 && svc.Spec.Type != corev1.ServiceTypeLoadBalancer && svc.Spec.ClusterIP != corev1.ClusterIPNone:
		out = append(out, networkingv1.IngressLoadBalancerIngress{IP: svc.Spec.ClusterIP})
	}
	return out
}
