// Package podexec runs commands in the containers of a cluster, as kubectl exec does.
package podexec

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/gameday-bench/gameday/internal/readiness"
)

// Target is where a command runs: in a ready pod of a workload, given as Kind/name with the kinds Deployment and
// StatefulSet. An empty container is the pod's first.
type Target struct {
	Namespace, Workload, Container string
}

// Run runs command and returns what it wrote to stdout. The error holds what it wrote to stderr, and where no pod of the
// workload is ready, that.
func Run(ctx context.Context, config *rest.Config, client kubernetes.Interface, target Target, command []string) (string, error) {
	pod, err := readyPod(ctx, client, target)
	if err != nil {
		return "", fmt.Errorf("run %s in %s: %w", command[0], target.Workload, err)
	}
	request := client.CoreV1().RESTClient().Post().Namespace(target.Namespace).Resource("pods").Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: target.Container, Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(config, "GET", request.URL().String())
	if err != nil {
		return "", fmt.Errorf("run %s in %s: %w", command[0], target.Workload, err)
	}
	var stdout, stderr bytes.Buffer
	if err := executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr}); err != nil {
		return "", fmt.Errorf("run %s in pod %s: %w: %s", command[0], pod, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

func readyPod(ctx context.Context, client kubernetes.Interface, target Target) (string, error) {
	kind, name, _ := strings.Cut(target.Workload, "/")
	var selector *metav1.LabelSelector
	switch kind {
	case "Deployment":
		d, err := client.AppsV1().Deployments(target.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		selector = d.Spec.Selector
	case "StatefulSet":
		s, err := client.AppsV1().StatefulSets(target.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		selector = s.Spec.Selector
	default:
		return "", fmt.Errorf("workload %q: want Deployment/name or StatefulSet/name", target.Workload)
	}
	pods, err := client.CoreV1().Pods(target.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(selector)})
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(pods.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp == nil && readiness.Pod(&p) })
	if i < 0 {
		return "", fmt.Errorf("none of its %d pods is ready", len(pods.Items))
	}
	return pods.Items[i].Name, nil
}
