// Package appfault holds faults inside an application: a buggy build that was released, data or rights that were changed
// in one of its stores.
package appfault

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/faults"
)

// BuildSpec is the spec of a fault.yaml of type build: a Deployment is updated to another tag of its image.
type BuildSpec struct {
	Namespace  string `yaml:"namespace" check:"required"`
	Deployment string `yaml:"deployment" check:"required"`
	// Container is the container whose image is changed; empty means the first.
	Container string `yaml:"container,omitempty"`
	Tag       string `yaml:"tag" check:"required"`
}

// fieldManager is what managedFields show: somebody has set the image.
const fieldManager = "kubectl-set"

// stateImage is the key of faults.Env.State for the image before the change.
const stateImage = "image"

type build struct{ BuildSpec }

var _ faults.Fault = (*build)(nil)

// NewBuild is the constructor of type build.
func NewBuild(s faults.Spec) (faults.Fault, error) {
	f := &build{}
	if err := s.Decode(&f.BuildSpec); err != nil {
		return nil, err
	}
	if strings.ContainsAny(f.Tag, ":/@ ") {
		return nil, s.Fail("tag", "%q is not a tag", f.Tag)
	}
	return f, nil
}

// Inject updates the image. The Deployment then rolls it out.
func (f *build) Inject(ctx context.Context, env faults.Env) error {
	d, err := f.get(ctx, env)
	if err != nil {
		return err
	}
	c, err := f.container(d.Spec.Template.Spec)
	if err != nil {
		return err
	}
	if env.State[stateImage] == "" {
		env.State[stateImage] = c.Image
	}
	return f.setImage(ctx, env, c.Name, withTag(env.State[stateImage], f.Tag))
}

// Probe looks at what is declared and at what runs: the fault is live until no pod runs the bad build and none will.
func (f *build) Probe(ctx context.Context, env faults.Env) (faults.State, error) {
	d, err := f.get(ctx, env)
	if apierrors.IsNotFound(err) {
		return faults.State{Detail: fmt.Sprintf("Deployment %s/%s does not exist", f.Namespace, f.Deployment)}, nil
	}
	if err != nil {
		return faults.State{}, err
	}
	c, err := f.container(d.Spec.Template.Spec)
	if err != nil {
		return faults.State{}, err
	}
	detail := fmt.Sprintf("Deployment %s/%s declares image %s", f.Namespace, f.Deployment, c.Image)
	if f.bad(c.Image) {
		return faults.State{Live: true, Detail: detail}, nil
	}
	pods, err := env.Kubernetes.CoreV1().Pods(f.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)})
	if err != nil {
		return faults.State{}, fmt.Errorf("list pods of Deployment %s/%s: %w", f.Namespace, f.Deployment, err)
	}
	for _, pod := range pods.Items {
		if c, err := f.container(pod.Spec); err == nil && f.bad(c.Image) && pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning {
			return faults.State{Live: true, Detail: fmt.Sprintf("%s; pod %s still runs image %s", detail, pod.Name, c.Image)}, nil
		}
	}
	return faults.State{Detail: detail}, nil
}

// Recover declares the old image again where the bad one is declared; another one was somebody's repair and stays only if it
// is the old one.
func (f *build) Recover(ctx context.Context, env faults.Env) error {
	image := env.State[stateImage]
	if image == "" {
		return nil
	}
	d, err := f.get(ctx, env)
	if apierrors.IsNotFound(err) {
		return nil // nothing runs the bad build; what was deleted is the application's to deploy again
	}
	if err != nil {
		return err
	}
	c, err := f.container(d.Spec.Template.Spec)
	if err != nil || c.Image == image {
		return err
	}
	return f.setImage(ctx, env, c.Name, image)
}

func (f *build) get(ctx context.Context, env faults.Env) (*appsv1.Deployment, error) {
	d, err := env.Kubernetes.AppsV1().Deployments(f.Namespace).Get(ctx, f.Deployment, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read Deployment %s/%s: %w", f.Namespace, f.Deployment, err)
	}
	return d, nil
}

func (f *build) setImage(ctx context.Context, env faults.Env, container, image string) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"containers": []any{map[string]string{"name": container, "image": image}},
	}}}})
	if err != nil {
		return fmt.Errorf("encode image: %w", err)
	}
	_, err = env.Kubernetes.AppsV1().Deployments(f.Namespace).Patch(ctx, f.Deployment, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("set the image of Deployment %s/%s to %s: %w", f.Namespace, f.Deployment, image, err)
	}
	return nil
}

func (f *build) container(spec corev1.PodSpec) (corev1.Container, error) {
	i := slices.IndexFunc(spec.Containers, func(c corev1.Container) bool { return f.Container == "" || c.Name == f.Container })
	if i < 0 {
		return corev1.Container{}, fmt.Errorf("find container %q of Deployment %s/%s: no such container", f.Container, f.Namespace, f.Deployment)
	}
	return spec.Containers[i], nil
}

func (f *build) bad(image string) bool { return image == withTag(image, f.Tag) }

// withTag replaces the tag of an image reference; a port of the registry is no tag.
func withTag(image, tag string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image + ":" + tag
}
