package existing

import (
	"context"
	"slices"
	"strings"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/orchestrator/preflight"
	"github.com/gameday-bench/gameday/workloads/objects"
)

// defaultClass is the annotation of the StorageClass that claims get which name none.
const defaultClass = "storageclass.kubernetes.io/is-default-class"

// checkStorage looks for a default StorageClass. It is required where an application has claims that name no class.
func (in *inspection) checkStorage(ctx context.Context) preflight.Check {
	needed := slices.ContainsFunc(in.sets, claims)
	list, err := in.kube.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		c := preflight.Failed("storage", in.rightsHint(), "list storage classes: %v", err)
		c.Required = needed
		return c
	}
	i := slices.IndexFunc(list.Items, func(s storagev1.StorageClass) bool { return s.Annotations[defaultClass] == "true" })
	switch {
	case i >= 0:
		c := preflight.Passed("storage", "default class %s", list.Items[i].Name)
		c.Required = needed
		return c
	case needed:
		var names []string
		for _, s := range list.Items {
			names = append(names, s.Name)
		}
		hint := "make one the default: kubectl annotate storageclass NAME " + defaultClass + "=true"
		return preflight.Failed("storage", hint, "no storage class is the default (there are: %s)", strings.Join(names, ", "))
	}
	return preflight.Check{Name: "storage", OK: true, Detail: "no storage class is the default; no application needs one"}
}

// claims is true for a set that has a volume claim without a class.
func claims(set objects.Set) bool {
	return slices.ContainsFunc(set, func(u *unstructured.Unstructured) bool {
		switch u.GetKind() {
		case "PersistentVolumeClaim":
			_, named, _ := unstructured.NestedString(u.Object, "spec", "storageClassName")
			return !named
		case "StatefulSet":
			templates, _, _ := unstructured.NestedSlice(u.Object, "spec", "volumeClaimTemplates")
			return slices.ContainsFunc(templates, func(t any) bool {
				claim, _ := t.(map[string]any)
				_, named, _ := unstructured.NestedString(claim, "spec", "storageClassName")
				return !named
			})
		}
		return false
	})
}
