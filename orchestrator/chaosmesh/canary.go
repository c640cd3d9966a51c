package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilrand "k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/ptr"

	"github.com/gameday-bench/gameday/internal/readiness"
)

const (
	// canaryLabel is on the pod and the experiment of a canary; its value is their name.
	canaryLabel = "gameday.dev/canary"
	// canaryLife ends a canary whose owner was killed. Older ones are removed by the next.
	canaryLife = 10 * time.Minute
	// canaryPort is where the canary is knocked at. Nothing listens there, so its kernel refuses the connection, which is an answer, too,
	// and any image will do. The API server reaches Chaos Mesh's webhook at the same port: firewalls let it through.
	canaryPort = "10250"
	// silences are as many failed attempts as are believed.
	silences = 2
)

// canary is one pod on which Chaos Mesh is tried, and the experiment on it.
type canary struct {
	release *Release
	id      string
	node    string // "" until it runs
}

func newCanary(r *Release) *canary { return &canary{release: r, id: "canary-" + utilrand.String(6)} }

// start creates the pod and waits until it runs.
func (c *canary) start(ctx context.Context) error {
	r := c.release
	pods := r.kube.CoreV1().Pods(r.namespace)
	pod, err := c.pod(ctx)
	if err != nil {
		return err
	}
	if err := c.sweep(ctx); err != nil {
		return err
	}
	if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create pod %s: %w", c.id, err)
	}
	return r.until(ctx, r.pace.step, "pod "+c.id, func(ctx context.Context) (string, error) {
		p, err := pods.Get(ctx, c.id, metav1.GetOptions{})
		if err != nil {
			return again(err)
		}
		c.node = p.Spec.NodeName
		if readiness.Pod(p) && p.Status.PodIP != "" {
			return "", nil
		}
		text, hopeless := podTrouble(p)
		if hopeless {
			return "", errors.New(text)
		}
		return fmt.Sprintf("it is %s %s", strings.ToLower(string(p.Status.Phase)), text), nil
	})
}

// pod is the canary as it is created.
func (c *canary) pod(ctx context.Context) (*corev1.Pod, error) {
	r := c.release
	daemon, err := r.kube.AppsV1().DaemonSets(r.namespace).Get(ctx, daemonName, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read daemon set %s: %w", daemonName, err)
	}
	container := corev1.Container{
		Name: "canary", Image: r.o.CanaryImage, Command: r.o.CanaryCommand, ImagePullPolicy: corev1.PullIfNotPresent,
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("16Mi"),
		}},
		SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: ptr.To(false)},
	}
	template := daemon.Spec.Template.Spec
	if container.Image == "" {
		if len(template.Containers) == 0 {
			return nil, fmt.Errorf("daemon set %s has no container", daemonName)
		}
		// Every node has this one.
		container.Image, container.Command = template.Containers[0].Image, []string{"sleep", "infinity"}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: c.id, Namespace: r.namespace, Labels: map[string]string{canaryLabel: c.id}},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{container}, ImagePullSecrets: template.ImagePullSecrets,
			NodeSelector:                  map[string]string{corev1.LabelOSStable: "linux"},
			ActiveDeadlineSeconds:         ptr.To(int64(canaryLife.Seconds())),
			TerminationGracePeriodSeconds: ptr.To[int64](1),
			AutomountServiceAccountToken:  ptr.To(false), EnableServiceLinks: ptr.To(false),
		},
	}, nil
}

// sweep removes canaries whose owners were killed.
func (c *canary) sweep(ctx context.Context) error {
	r := c.release
	old := r.clock.Now().Add(-canaryLife)
	marked := metav1.ListOptions{LabelSelector: canaryLabel}
	pods, err := r.kube.CoreV1().Pods(r.namespace).List(ctx, marked)
	if err != nil {
		return fmt.Errorf("list canaries: %w", err)
	}
	list, err := r.dyn.Resource(networkChaos).Namespace(r.namespace).List(ctx, marked)
	if err != nil {
		return fmt.Errorf("list experiments on canaries: %w", err)
	}
	for _, item := range list.Items {
		if made := item.GetCreationTimestamp(); made.Time.Before(old) {
			if err := r.discard(ctx, object{networkChaos, item}); err != nil {
				return err
			}
		}
	}
	for _, p := range pods.Items {
		if p.CreationTimestamp.Time.Before(old) {
			if err := r.kube.CoreV1().Pods(r.namespace).Delete(ctx, p.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("delete pod %s: %w", p.Name, err)
			}
		}
	}
	return nil
}

// cut creates the experiment: no packet reaches the canary or leaves it.
func (c *canary) cut(ctx context.Context) error {
	r := c.release
	experiment := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": groupVersion.String(), "kind": "NetworkChaos",
		"metadata": map[string]any{"name": c.id, "namespace": r.namespace, "labels": map[string]any{canaryLabel: c.id}},
		"spec": map[string]any{
			"action": "partition", "direction": "both", "mode": "all",
			"selector": map[string]any{"namespaces": []any{r.namespace}, "labelSelectors": map[string]any{canaryLabel: c.id}},
		},
	}}
	if _, err := r.dyn.Resource(networkChaos).Namespace(r.namespace).Create(ctx, experiment, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create NetworkChaos %s: %w", c.id, err)
	}
	return nil
}

// awaitInjected waits until Chaos Mesh says that it has injected the fault.
func (c *canary) awaitInjected(ctx context.Context) error {
	r := c.release
	return r.until(ctx, r.pace.step, "NetworkChaos "+c.id, func(ctx context.Context) (string, error) {
		o, err := r.dyn.Resource(networkChaos).Namespace(r.namespace).Get(ctx, c.id, metav1.GetOptions{})
		if err != nil {
			return again(err)
		}
		// Where nothing is selected, everything selected is injected.
		if holds := conditions(o); holds["Selected"] && holds["AllInjected"] {
			return "", nil
		}
		return progress(o), nil
	})
}

// restore deletes the experiment and waits until Chaos Mesh has recovered it: only then is it gone.
func (c *canary) restore(ctx context.Context) error {
	r := c.release
	return r.until(ctx, r.pace.step, "the recovery of NetworkChaos "+c.id, func(ctx context.Context) (string, error) {
		objects, err := c.experiment(ctx)
		if err != nil {
			return again(err)
		}
		if len(objects) == 0 {
			return "", nil
		}
		if err := r.discard(ctx, objects[0]); err != nil {
			return again(err)
		}
		return progress(&objects[0].item), nil
	})
}

// experiment is the experiment, as a list that is empty once it is gone.
func (c *canary) experiment(ctx context.Context) ([]object, error) {
	r := c.release
	o, err := r.dyn.Resource(networkChaos).Namespace(r.namespace).Get(ctx, c.id, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read NetworkChaos %s: %w", c.id, err)
	}
	return []object{{networkChaos, *o}}, nil
}

// remove removes the experiment, if need be by force, the pod, and what Chaos Mesh has noted about the pod, and waits until they are gone.
func (c *canary) remove(ctx context.Context) error {
	r := c.release
	err := r.recoverExperiments(ctx, c.experiment)
	pods := r.kube.CoreV1().Pods(r.namespace)
	gone := r.until(ctx, r.pace.step, "the removal of pod "+c.id, func(ctx context.Context) (string, error) {
		err := pods.Delete(ctx, c.id, metav1.DeleteOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return "", nil
		case err != nil:
			return again(err)
		}
		return "it is there", nil
	})
	return errors.Join(err, gone, c.removeNotes(ctx))
}

// removeNotes removes the effects on the pod's network that Chaos Mesh keeps under the pod's name. They would go with the pod, but on a new cluster the
// garbage collector may need half a minute until it knows of their kind.
func (c *canary) removeNotes(ctx context.Context) error {
	r := c.release
	err := r.dyn.Resource(podNetworkChaos).Namespace(r.namespace).Delete(ctx, c.id, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete PodNetworkChaos %s: %w", c.id, err)
	}
	return nil
}
