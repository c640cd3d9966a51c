package workloads

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

// fieldManager owns what is applied, as a delivery pipeline would.
const fieldManager = "deploy"

// Manifests is an App that is a directory of Kubernetes manifests. ${name} in them stands for Values[name]; ${namespace}
// is always there. It is applied in the order of the file names, the objects of a file at once, and is ready when every
// Deployment, StatefulSet and DaemonSet is available and every Job is complete.
type Manifests struct {
	Dir    fs.FS
	Values map[string]string
}

var _ App = Manifests{}

// Objects returns the objects of the manifests, one slice per file, in order.
func (m Manifests) Objects(namespace string) ([][]*unstructured.Unstructured, error) {
	files, err := fs.Glob(m.Dir, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list manifests: %w", err)
	}
	slices.Sort(files)
	var out [][]*unstructured.Unstructured
	for _, file := range files {
		data, err := fs.ReadFile(m.Dir, file)
		if err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
		objects, err := m.decode(path.Base(file), m.fill(data, namespace))
		if err != nil {
			return nil, err
		}
		out = append(out, objects)
	}
	return out, nil
}

func (m Manifests) fill(data []byte, namespace string) []byte {
	pairs := []string{"${namespace}", namespace}
	for name, value := range m.Values {
		pairs = append(pairs, "${"+name+"}", value)
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(data)))
}

func (m Manifests) decode(file string, data []byte) ([]*unstructured.Unstructured, error) {
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	var out []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decode manifest %s, object %d: %w", file, len(out)+1, err)
		}
		if len(object.Object) > 0 {
			out = append(out, object)
		}
	}
}

// Deploy implements App.
func (m Manifests) Deploy(ctx context.Context, env Env) error {
	files, err := m.Objects(env.Namespace)
	if err != nil {
		return err
	}
	mapper, err := newMapper(env)
	if err != nil {
		return err
	}
	if err := ensureNamespace(ctx, env); err != nil {
		return err
	}
	for _, objects := range files {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(16)
		for _, object := range objects {
			group.Go(func() error { return mapper.apply(ctx, env, object) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func ensureNamespace(ctx context.Context, env Env) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: env.Namespace}}
	_, err := env.Kubernetes.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %s: %w", env.Namespace, err)
	}
	return nil
}

// mapper finds the API of an object.
type mapper struct{ meta.RESTMapper }

func newMapper(env Env) (mapper, error) {
	groups, err := restmapper.GetAPIGroupResources(env.Kubernetes.Discovery())
	if err != nil {
		return mapper{}, fmt.Errorf("discover the cluster's APIs: %w", err)
	}
	return mapper{restmapper.NewDiscoveryRESTMapper(groups)}, nil
}

func (m mapper) client(env Env, object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := object.GroupVersionKind()
	mapping, err := m.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, fmt.Errorf("find the API of %s: %w", describe(object), err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return env.Dynamic.Resource(mapping.Resource), nil
	}
	return env.Dynamic.Resource(mapping.Resource).Namespace(cmp.Or(object.GetNamespace(), env.Namespace)), nil
}

func (m mapper) apply(ctx context.Context, env Env, object *unstructured.Unstructured) error {
	client, err := m.client(env, object)
	if err != nil {
		return err
	}
	_, err = client.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil {
		return fmt.Errorf("apply %s: %w", describe(object), err)
	}
	return nil
}

func describe(object *unstructured.Unstructured) string {
	return object.GetKind() + " " + strings.TrimPrefix(object.GetNamespace()+"/"+object.GetName(), "/")
}

// readyInterval is how often Ready and Remove look.
const readyInterval = 150 * time.Millisecond

// Ready implements App.
func (m Manifests) Ready(ctx context.Context, env Env) error {
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		reason, err := m.notReady(ctx, env)
		if err == nil && reason == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("wait until ready: %w: %w", context.Cause(ctx), err)
			}
			return fmt.Errorf("wait until ready: %w: %s%s", context.Cause(ctx), reason, troubledPods(context.WithoutCancel(ctx), env))
		case <-tick.C:
		}
	}
}

// notReady says which workload is not available, or "".
func (m Manifests) notReady(ctx context.Context, env Env) (string, error) {
	deployments, err := env.Kubernetes.AppsV1().Deployments(env.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("list deployments: %w", err)
	}
	for _, d := range deployments.Items {
		if !deploymentReady(d) {
			return fmt.Sprintf("Deployment %s has %d of %d replicas available", d.Name, d.Status.AvailableReplicas, *d.Spec.Replicas), nil
		}
	}
	sets, err := env.Kubernetes.AppsV1().StatefulSets(env.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("list stateful sets: %w", err)
	}
	for _, s := range sets.Items {
		if s.Status.ObservedGeneration < s.Generation || s.Status.AvailableReplicas < *s.Spec.Replicas {
			return fmt.Sprintf("StatefulSet %s has %d of %d replicas available", s.Name, s.Status.AvailableReplicas, *s.Spec.Replicas), nil
		}
	}
	daemons, err := env.Kubernetes.AppsV1().DaemonSets(env.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("list daemon sets: %w", err)
	}
	for _, d := range daemons.Items {
		if d.Status.ObservedGeneration < d.Generation || d.Status.NumberAvailable < d.Status.DesiredNumberScheduled {
			return fmt.Sprintf("DaemonSet %s has %d of %d pods available", d.Name, d.Status.NumberAvailable, d.Status.DesiredNumberScheduled), nil
		}
	}
	return jobsReady(ctx, env)
}

func deploymentReady(d appsv1.Deployment) bool {
	return d.Status.ObservedGeneration >= d.Generation && d.Status.AvailableReplicas >= *d.Spec.Replicas && d.Status.UpdatedReplicas >= *d.Spec.Replicas
}

func jobsReady(ctx context.Context, env Env) (string, error) {
	jobs, err := env.Kubernetes.BatchV1().Jobs(env.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "", fmt.Errorf("list jobs: %w", err)
	}
	for _, j := range jobs.Items {
		if !slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool {
			return c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue
		}) {
			return fmt.Sprintf("Job %s is not complete", j.Name), nil
		}
	}
	return "", nil
}

// troubledPods names the pods that wait or crash, for the error of a wait that failed.
func troubledPods(ctx context.Context, env Env) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	pods, err := env.Kubernetes.CoreV1().Pods(env.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return ""
	}
	var out strings.Builder
	for _, p := range pods.Items {
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if w := s.State.Waiting; w != nil {
				fmt.Fprintf(&out, "; pod %s: %s: %s", p.Name, w.Reason, w.Message)
			} else if t := s.LastTerminationState.Terminated; t != nil && !s.Ready {
				fmt.Fprintf(&out, "; pod %s: %s (exit %d) %d times", p.Name, t.Reason, t.ExitCode, s.RestartCount)
			}
		}
	}
	return out.String()
}

// Remove implements App: the namespace and what was applied outside of it.
func (m Manifests) Remove(ctx context.Context, env Env) error {
	files, err := m.Objects(env.Namespace)
	if err != nil {
		return err
	}
	mapper, err := newMapper(env)
	if err != nil {
		return err
	}
	for _, object := range slices.Backward(slices.Concat(files...)) {
		client, err := mapper.client(env, object)
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return err
		}
		if err := client.Delete(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete %s: %w", describe(object), err)
		}
	}
	return removeNamespace(ctx, env)
}

func removeNamespace(ctx context.Context, env Env) error {
	namespaces := env.Kubernetes.CoreV1().Namespaces()
	if err := namespaces.Delete(ctx, env.Namespace, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete namespace %s: %w", env.Namespace, err)
	}
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		if _, err := namespaces.Get(ctx, env.Namespace, metav1.GetOptions{}); apierrors.IsNotFound(err) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until namespace %s is gone: %w", env.Namespace, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// App returns the application that the definition describes.
func (d *Definition) App(values map[string]string) (App, error) {
	dir, err := fs.Sub(d.Dir, "manifests")
	if err != nil {
		return nil, fmt.Errorf("open manifests of %s: %w", d.Path, err)
	}
	return Manifests{Dir: dir, Values: values}, nil
}
