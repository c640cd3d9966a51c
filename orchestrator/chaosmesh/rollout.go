package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// awaitRollout waits until all programs of Chaos Mesh run: the controllers, and a daemon on each node that takes one.
func (r *Release) awaitRollout(ctx context.Context) error {
	if err := r.until(ctx, r.o.RolloutLimit, "Chaos Mesh's programs", r.rollout); err != nil {
		return r.failed(ctx, "roll out", "", err,
			"the nodes must have Chaos Mesh's images or be able to pull them; --chaos-mesh-images says where they are")
	}
	return nil
}

// rollout is a check of until.
func (r *Release) rollout(ctx context.Context) (string, error) {
	apps := r.kube.AppsV1()
	var pending []string
	for _, name := range []string{controllerName, dnsName} {
		d, err := apps.Deployments(r.namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) && name == dnsName:
		case err != nil:
			return again(fmt.Errorf("read deployment %s: %w", name, err))
		case !rolledOut(d):
			pending = append(pending, fmt.Sprintf("%s: %d of %d are available", name, d.Status.AvailableReplicas, replicas(d)))
		}
	}
	ds, err := apps.DaemonSets(r.namespace).Get(ctx, daemonName, metav1.GetOptions{})
	if err != nil {
		return again(fmt.Errorf("read daemon set %s: %w", daemonName, err))
	}
	s := ds.Status
	switch {
	case s.ObservedGeneration < ds.Generation:
		pending = append(pending, daemonName+": the cluster has not looked at it yet")
	case s.DesiredNumberScheduled == 0:
		pending = append(pending, daemonName+": no node takes it")
	case s.NumberAvailable < s.DesiredNumberScheduled || s.UpdatedNumberScheduled < s.DesiredNumberScheduled:
		pending = append(pending, fmt.Sprintf("%s: %d of %d are available", daemonName, s.NumberAvailable, s.DesiredNumberScheduled))
	}
	if len(pending) == 0 {
		return "", nil
	}
	troubles, hopeless, err := r.troubles(ctx)
	if err != nil {
		return again(err)
	}
	text := strings.Join(append(pending, troubles...), "; ")
	if hopeless {
		return "", errors.New(text)
	}
	return text, nil
}

func replicas(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

func rolledOut(d *appsv1.Deployment) bool {
	want, s := replicas(d), d.Status
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas >= want && s.AvailableReplicas >= want
}

// troubles says why pods of Chaos Mesh do not run. hopeless is true where waiting does not help.
func (r *Release) troubles(ctx context.Context) (texts []string, hopeless bool, err error) {
	selector := componentLabel + " in (controller-manager,chaos-daemon,chaos-dns-server)"
	pods, err := r.kube.CoreV1().Pods(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, false, fmt.Errorf("list Chaos Mesh's pods: %w", err)
	}
	for _, p := range pods.Items {
		if text, never := podTrouble(&p); text != "" {
			texts, hopeless = append(texts, "pod "+p.Name+": "+text), hopeless || never
		}
	}
	return texts, hopeless, nil
}

// podTrouble says why a pod does not run; "" where it does, or just has not got so far. hopeless is true where waiting does not help.
func podTrouble(p *corev1.Pod) (text string, hopeless bool) {
	if p.Status.Phase == corev1.PodFailed {
		return strings.TrimSpace("failed " + p.Status.Reason + " " + p.Status.Message), false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "not scheduled: " + c.Message, false
		}
	}
	for _, c := range append(append([]corev1.ContainerStatus(nil), p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...) {
		w := c.State.Waiting
		if w == nil || w.Reason == "" || w.Reason == "ContainerCreating" || w.Reason == "PodInitializing" {
			continue
		}
		text := w.Reason
		if w.Message != "" {
			text += ": " + w.Message
		}
		if t := c.LastTerminationState.Terminated; t != nil {
			text += fmt.Sprintf(" (it ended with code %d)", t.ExitCode)
		}
		return text, w.Reason == "InvalidImageName" || w.Reason == "ErrImageNeverPull"
	}
	return "", false
}

// networkChaos is the kind that the webhooks and the canary are tried with, and podNetworkChaos what Chaos Mesh makes of it for each pod.
var (
	networkChaos    = groupVersion.WithResource("networkchaos")
	podNetworkChaos = groupVersion.WithResource("podnetworkchaos")
)

// awaitWebhooks waits until the API server asks Chaos Mesh about its objects, by trying, without effect, to create one that only Chaos
// Mesh can refuse. That the webhook's Service has endpoints is part of it.
func (r *Release) awaitWebhooks(ctx context.Context) error {
	invalid := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": groupVersion.String(), "kind": "NetworkChaos",
		"metadata": map[string]any{"name": "readiness", "namespace": r.namespace},
		"spec": map[string]any{
			"action": "delay", "mode": "fixed", "value": "0", "selector": map[string]any{},
			"delay": map[string]any{"latency": "1ms"},
		},
	}}
	client := r.dyn.Resource(networkChaos).Namespace(r.namespace)
	err := r.until(ctx, r.pace.webhooks, "Chaos Mesh's webhooks", func(ctx context.Context) (string, error) {
		// An apply is not delayed, as the creation of an object is in the first two seconds of its definition.
		_, err := client.Apply(ctx, invalid.GetName(), invalid, metav1.ApplyOptions{FieldManager: fieldManager, DryRun: []string{metav1.DryRunAll}})
		switch {
		case err == nil:
			return "an invalid object is accepted", nil
		case strings.Contains(err.Error(), "vnetworkchaos.kb.io") && strings.Contains(err.Error(), "denied"):
			return "", nil
		}
		return again(err)
	})
	if err != nil {
		return r.failed(ctx, "ask the webhooks", "", err, "the API server must reach pods on port 10250: see firewalls and network policies")
	}
	return nil
}
