package cacheoperator_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gameday-bench/gameday/workloads/cacheoperator"
	"github.com/gameday-bench/gameday/workloads/cacheoperator/api/v1alpha1"
	"github.com/gameday-bench/gameday/workloads/cacheoperator/controller"
)

func find(t *testing.T, kind string, into any) {
	t.Helper()
	set, err := cacheoperator.New().Objects("ops")
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
	require.Equal(t, cacheoperator.Image, im.Repository+":"+im.Tags[0])
	require.Equal(t, cacheoperator.Image, d.Spec.Template.Spec.Containers[0].Image)
	require.Equal(t, "ops", d.Namespace)
	require.Equal(t, cacheoperator.Name, d.Name)
	var b rbacv1.ClusterRoleBinding
	find(t, "ClusterRoleBinding", &b)
	require.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: d.Spec.Template.Spec.ServiceAccountName, Namespace: "ops"}}, b.Subjects)
	var definition apiextensionsv1.CustomResourceDefinition
	find(t, "CustomResourceDefinition", &definition)
	require.Equal(t, v1alpha1.GroupVersion.Group, definition.Spec.Group)
	require.Equal(t, v1alpha1.GroupVersion.Version, definition.Spec.Versions[0].Name)
}
