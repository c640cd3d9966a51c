package ingress_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gameday-bench/gameday/workloads/ingress"
	"github.com/gameday-bench/gameday/workloads/ingress/controller"
)

func find(t *testing.T, kind string, into any) {
	t.Helper()
	set, err := ingress.New().Objects("edge")
	require.NoError(t, err)
	for _, o := range set {
		if o.GetKind() == kind {
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, into, true))
			return
		}
	}
	require.Fail(t, "no such object", kind)
}

func TestObjectsFitTogether(t *testing.T) {
	var d appsv1.Deployment
	find(t, "Deployment", &d)
	im := controller.Image()
	require.Equal(t, im.Repository+":"+im.Tags[0], d.Spec.Template.Spec.Containers[0].Image)
	require.Equal(t, "edge", d.Namespace)
	var s corev1.Service
	find(t, "Service", &s)
	require.Equal(t, ingress.Service, s.Name)
	require.Equal(t, d.Spec.Selector.MatchLabels, s.Spec.Selector)
	ports := map[string]bool{}
	for _, p := range d.Spec.Template.Spec.Containers[0].Ports {
		ports[p.Name] = true
	}
	for _, p := range s.Spec.Ports {
		require.True(t, ports[p.TargetPort.StrVal], p.Name)
	}
	var class networkingv1.IngressClass
	find(t, "IngressClass", &class)
	require.Equal(t, ingress.Class, class.Name)
	require.Empty(t, class.Namespace)
	var account corev1.ServiceAccount
	find(t, "ServiceAccount", &account)
	require.Equal(t, account.Name, d.Spec.Template.Spec.ServiceAccountName)
	var b rbacv1.ClusterRoleBinding
	find(t, "ClusterRoleBinding", &b)
	require.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: account.Name, Namespace: "edge"}}, b.Subjects)
}
