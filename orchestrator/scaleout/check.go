package scaleout

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/orchestrator/preflight"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/bucket"
)

// oldest is the first version of Kubernetes whose Jobs have a limit of failures per index, and replace pods only when they are over.
const oldest = "1.29.0"

// defaultClass is the annotation of the StorageClass that claims without a class get.
const defaultClass = "storageclass.kubernetes.io/is-default-class"

// Check looks for what would make a run fail: the server and its version, rights, nodes, storage. It makes nothing but, in a bucket, an object
// that it removes again. Where the server cannot be reached, the rest is left out.
func (e *Executor) Check(ctx context.Context) []preflight.Check {
	server := e.checkServer()
	if !server.OK {
		return []preflight.Check{server}
	}
	return []preflight.Check{server, e.checkRights(ctx), e.checkNodes(ctx), e.checkStorage(ctx)}
}

func (e *Executor) checkServer() preflight.Check {
	const name = "server"
	info, err := e.Cluster.Client.Discovery().ServerVersion()
	if err != nil {
		return preflight.Failed(name, fmt.Sprintf("see that it runs and that the context is right: kubectl --context %s version", e.Cluster.Context),
			"%s cannot be reached: %v", e.Cluster.Server, err)
	}
	is, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		return preflight.Failed(name, "use the API server of Kubernetes "+oldest+" or later", "%s has an unknown version: %v", e.Cluster.Server, err)
	}
	if is.LessThan(version.MustParseGeneric(oldest)) {
		return preflight.Failed(name, "use a cluster of Kubernetes "+oldest+" or later", "%s has Kubernetes %s, whose Jobs cannot do what is needed", e.Cluster.Server, info.GitVersion)
	}
	return preflight.Passed(name, "%s has Kubernetes %s", e.Cluster.Server, info.GitVersion)
}

// rights are what the executor does on the cluster, by the verbs and the group, resource and subresource.
func (e *Executor) rights() map[authorizationv1.ResourceAttributes][]string {
	out := map[authorizationv1.ResourceAttributes][]string{
		{Resource: "namespaces"}:                  {"create", "get", "list", "delete"},
		{Resource: "secrets"}:                     {"create", "get"},
		{Resource: "pods"}:                        {"list", "delete"},
		{Resource: "pods", Subresource: "log"}:    {"get"},
		{Group: "batch", Resource: "jobs"}:        {"create", "get", "delete"},
		{Resource: "pods", Subresource: "status"}: {"patch"},
	}
	if e.Storage.Bucket == nil {
		out[authorizationv1.ResourceAttributes{Resource: "services"}] = []string{"create", "get", "patch"}
		out[authorizationv1.ResourceAttributes{Resource: "services", Subresource: "proxy"}] = []string{"get", "update"}
		out[authorizationv1.ResourceAttributes{Resource: "persistentvolumeclaims"}] = []string{"create", "delete"}
		out[authorizationv1.ResourceAttributes{Group: "apps", Resource: "deployments"}] = []string{"create", "delete"}
	}
	if e.Workers == 0 {
		out[authorizationv1.ResourceAttributes{Resource: "nodes"}] = []string{"list"}
	}
	return out
}

// checkRights asks the server for each right, in any namespace: that of a session is not there yet.
func (e *Executor) checkRights(ctx context.Context) preflight.Check {
	const name = "rights"
	var missing []string
	count := 0
	for what, verbs := range e.rights() {
		for _, verb := range verbs {
			count++
			asked := what
			asked.Verb = verb
			answer, err := e.Cluster.Client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &asked},
			}, metav1.CreateOptions{})
			if err != nil {
				return preflight.Failed(name, "see that the credentials of the context are good", "they cannot be asked for: %v", err)
			}
			if !answer.Status.Allowed {
				missing = append(missing, strings.TrimSuffix(verb+" "+what.Resource+"/"+what.Subresource, "/"))
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return preflight.Failed(name, "use a context whose user may do this, in every namespace; docs/scaleout.md has a ClusterRole", "not allowed: %s", strings.Join(missing, ", "))
	}
	return preflight.Passed(name, "all %d are there", count)
}

// checkNodes counts the nodes that take pods. Who may not list nodes has to say how many workers there are to be.
func (e *Executor) checkNodes(ctx context.Context) preflight.Check {
	const name = "nodes"
	count, all, err := e.countNodes(ctx)
	switch {
	case err != nil && e.Workers > 0:
		return preflight.Check{Name: name, OK: true, Detail: fmt.Sprintf("cannot be listed: %v", err)}
	case err != nil:
		return preflight.Failed(name, "say how many pods there may be at a time: --workers N", "cannot be listed: %v", err)
	}
	if count == 0 {
		return preflight.Failed(name, fmt.Sprintf("see kubectl --context %s get nodes", e.Cluster.Context), "none of %d is ready, for %s and takes pods", all, arch())
	}
	return preflight.Passed(name, "%d of %d are ready and take pods", count, all)
}

// checkStorage looks at the bucket, or at the class of the volume.
func (e *Executor) checkStorage(ctx context.Context) preflight.Check {
	const name = "storage"
	if options := e.Storage.Bucket; options != nil {
		b, err := bucket.Open(*options)
		if err == nil {
			err = b.Check(ctx)
		}
		if err != nil {
			return preflight.Failed(name, "see that the bucket exists, that it can be reached from here and from the nodes, and that the credentials may list, read, write and delete there", "%v", err)
		}
		return preflight.Passed(name, "bucket %s at %s", options.Bucket, options.Endpoint)
	}
	classes := e.Cluster.Client.StorageV1().StorageClasses()
	if class := e.Storage.Class; class != "" {
		found, err := classes.Get(ctx, class, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return preflight.Failed(name, storageAdvice, "there is no storage class %s", class)
		case err != nil:
			return preflight.Passed(name, "storage class %s", class) // Who may not read classes may use one.
		}
		return checkClass(found, "")
	}
	all, err := classes.List(ctx, metav1.ListOptions{})
	if err != nil {
		return preflight.Check{Name: name, OK: true, Detail: fmt.Sprintf("storage classes cannot be listed: %v", err)}
	}
	for _, class := range all.Items {
		if class.Annotations[defaultClass] == "true" {
			return checkClass(&class, ", the default")
		}
	}
	return preflight.Failed(name, storageAdvice, "the cluster has no default storage class")
}

// checkClass looks at the class of the depot's volume. what is said after its name.
func checkClass(class *storagev1.StorageClass, what string) preflight.Check {
	const name = "storage"
	if ptr.Deref(class.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete) == corev1.PersistentVolumeReclaimRetain {
		return preflight.Noted(name, "remove the volumes that a run names when it cleans up, or name another class: --storage pvc:CLASS",
			"storage class %s%s keeps the volumes of a run (reclaimPolicy Retain)", class.Name, what)
	}
	return preflight.Passed(name, "storage class %s%s", class.Name, what)
}
