package proxy

import (
	"context"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// User is whom agents act as: an engineer on call.
const User = "oncall"

// Grant makes the cluster role of User and binds it, and returns access that impersonates User. The role covers every group
// that is not hidden, with the verbs of day-to-day work: no impersonation, no escalation, and cluster-wide RBAC is
// read-only, so that no right beyond it can be handed to an account inside the cluster. It is idempotent.
func Grant(ctx context.Context, admin *rest.Config, rules Rules) (*rest.Config, error) {
	client, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	groups, err := client.Discovery().ServerGroups()
	if err != nil {
		return nil, fmt.Errorf("list API groups: %w", err)
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: User}, Rules: grants(groups, rules)}
	roles := client.RbacV1().ClusterRoles()
	if _, err := roles.Create(ctx, role, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
		_, err = roles.Update(ctx, role, metav1.UpdateOptions{})
		if err != nil {
			return nil, fmt.Errorf("update cluster role %s: %w", User, err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("create cluster role %s: %w", User, err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: User},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: User},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: User}},
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("create cluster role binding %s: %w", User, err)
	}
	limited := rest.CopyConfig(admin)
	limited.Impersonate = rest.ImpersonationConfig{UserName: User, Groups: []string{"system:authenticated"}}
	return limited, nil
}

func grants(groups *metav1.APIGroupList, rules Rules) []rbacv1.PolicyRule {
	read := []string{"get", "list", "watch"}
	write := append(slices.Clone(read), "create", "update", "patch", "delete", "deletecollection")
	out := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"*"}, Verbs: write}}
	names := []string{}
	for _, g := range groups.Groups {
		if g.Name != "" && g.Name != rbacv1.GroupName && !rules.hiddenGroup(g.Name) {
			names = append(names, g.Name)
		}
	}
	slices.Sort(names)
	out = append(out, rbacv1.PolicyRule{APIGroups: slices.Compact(names), Resources: []string{"*"}, Verbs: write})
	return append(out,
		rbacv1.PolicyRule{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles", "rolebindings"}, Verbs: write},
		rbacv1.PolicyRule{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles", "clusterrolebindings"}, Verbs: read},
	)
}
