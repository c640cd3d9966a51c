package existing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/orchestrator/preflight"
)

// right is something that the user of the context must be allowed to do, in every namespace.
type right struct {
	verb, group, resource, subresource string
}

func (r right) String() string {
	resource := r.resource
	if r.group != "" {
		resource += "." + r.group
	}
	if r.subresource != "" {
		resource += "/" + r.subresource
	}
	return r.verb + " " + resource
}

// everything is the right of a cluster's administrator.
func everything() right { return right{"*", "*", "*", ""} }

// parallel is how many requests are under way at once.
const parallel = 8

// maxNamed is how many missing rights are named; who has so few needs another account.
const maxNamed = 40

// checkRights asks for every right that a run needs, and names all that are missing.
func (in *inspection) checkRights(ctx context.Context) preflight.Check {
	all, err := in.allowed(ctx, everything())
	if err != nil {
		return preflight.Failed("rights", "see that the credentials of the context are right: kubectl --context "+in.target.Context+" auth whoami",
			"ask what is allowed: %v", err)
	}
	if all {
		return preflight.Passed("rights", "everything is allowed")
	}
	needed := in.rights()
	missing, err := in.missing(ctx, needed)
	if err != nil {
		return preflight.Failed("rights", in.rightsHint(), "ask what is allowed: %v", err)
	}
	if len(missing) == 0 {
		return preflight.Passed("rights", "all %d that are needed", len(needed))
	}
	more := ""
	if n := len(missing) - maxNamed; n > 0 {
		missing, more = missing[:maxNamed], fmt.Sprintf(" and %d more", n)
	}
	return preflight.Failed("rights", in.rightsHint(), "not allowed in all namespaces: %s%s", strings.Join(missing, ", "), more)
}

func (in *inspection) rightsHint() string {
	return "use an account with these rights, such as one that is bound to cluster-admin"
}

// missing asks for each right, and returns the names of those that are not given, sorted.
func (in *inspection) missing(ctx context.Context, needed []right) ([]string, error) {
	var mu sync.Mutex
	var out []string
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, r := range needed {
		group.Go(func() error {
			ok, err := in.allowed(ctx, r)
			if err != nil || ok {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			out = append(out, r.String())
			return nil
		})
	}
	err := group.Wait()
	slices.Sort(out)
	return out, err
}

// allowed asks the API server about one right.
func (in *inspection) allowed(ctx context.Context, r right) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: r.verb, Group: r.group, Resource: r.resource, Subresource: r.subresource},
	}}
	answer, err := in.kube.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}

// rights are those that a run needs, each once.
func (in *inspection) rights() []right {
	out := fixedRights()
	for _, set := range in.sets {
		for _, u := range set {
			gvr, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind())
			out = append(out, verbs(gvr.Group, gvr.Resource, "get", "create", "patch", "delete")...)
		}
	}
	if in.provider.AllowCordon {
		out = append(out, right{"patch", "", "nodes", ""})
	}
	if in.chaosAt == "" {
		out = append(out, installRights()...)
	}
	slices.SortFunc(out, func(a, b right) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}

func verbs(group, resource string, all ...string) []right {
	var out []right
	for _, verb := range all {
		out = append(out, right{verb: verb, group: group, resource: resource})
	}
	return out
}

const (
	rbacGroup  = "rbac.authorization.k8s.io"
	chaosGroup = "chaos-mesh.org"
)

// fixedRights are needed whatever is deployed: for the claim and the clean-up, for telemetry, faults and evidence, and for the
// account that agents act with, which has most rights inside the trial's namespaces.
func fixedRights() []right {
	return slices.Concat(
		verbs("", "namespaces", "get", "list", "create", "patch", "delete"),
		verbs("coordination.k8s.io", "leases", "get", "create", "patch"),
		verbs("", "nodes", "get", "list"),
		verbs("", "pods", "get", "list", "watch", "delete"),
		verbs("", "persistentvolumes", "list", "delete"),
		verbs("", "secrets", "get", "list"),
		verbs("apps", "deployments", "list"),
		verbs("apps", "statefulsets", "list"),
		verbs("storage.k8s.io", "storageclasses", "list"),
		verbs("apiextensions.k8s.io", "customresourcedefinitions", "list"),
		verbs("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "list"),
		verbs("admissionregistration.k8s.io", "validatingwebhookconfigurations", "list"),
		verbs("apiregistration.k8s.io", "apiservices", "list"),
		verbs(chaosGroup, "*", "get", "list", "create", "patch", "delete"),
		verbs(rbacGroup, "clusterroles", "list", "update", "escalate", "bind"),
		[]right{
			{"create", "", "pods", "exec"}, {"create", "", "pods", "portforward"}, {"get", "", "pods", "log"}, {"get", "", "services", "proxy"},
			{"impersonate", "", "users", ""}, {"impersonate", "", "groups", ""},
		},
	)
}

// installRights are needed to install Chaos Mesh, and to remove it.
func installRights() []right {
	all := []string{"get", "create", "patch", "delete"}
	return slices.Concat(
		verbs("apiextensions.k8s.io", "customresourcedefinitions", all...),
		verbs("admissionregistration.k8s.io", "mutatingwebhookconfigurations", all...),
		verbs("admissionregistration.k8s.io", "validatingwebhookconfigurations", all...),
		verbs("apps", "daemonsets", all...), verbs("apps", "deployments", all...),
		verbs("", "secrets", append(all, "update")...), verbs("", "services", all...), verbs("", "serviceaccounts", all...),
		verbs(rbacGroup, "clusterroles", all...), verbs(rbacGroup, "clusterrolebindings", all...),
		verbs(rbacGroup, "roles", all...), verbs(rbacGroup, "rolebindings", all...),
	)
}
