package clustertest

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

// Exec runs a command in the first container of a pod and returns what it printed, and its exit code.
func (r *Rig) Exec(pod string, argv ...string) (string, int) {
	r.T.Helper()
	out, code, err := r.TryExec(r.T.Context(), pod, argv...)
	require.NoError(r.T, err, "exec in %s: %s", pod, out)
	return out, code
}

// TryExec is Exec for those who run several at once: what cannot be run is an error, and does not end the test.
func (r *Rig) TryExec(ctx context.Context, pod string, argv ...string) (out string, code int, err error) {
	p, err := r.Kube.CoreV1().Pods(r.Namespace).Get(ctx, pod, metav1.GetOptions{})
	if err != nil {
		return "", 0, err
	}
	req := r.Kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(r.Namespace).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: p.Spec.Containers[0].Name, Command: argv, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(r.REST, "GET", req.URL().String())
	if err != nil {
		return "", 0, err
	}
	var printed, errs bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &printed, Stderr: &errs})
	out = printed.String() + errs.String()
	var exit interface{ ExitStatus() int }
	if errors.As(err, &exit) {
		return out, exit.ExitStatus(), nil
	}
	return out, 0, err
}

// Sh runs a shell script in a pod and returns what it printed, and its exit code.
func (r *Rig) Sh(pod, script string) (string, int) {
	r.T.Helper()
	return r.Exec(pod, "sh", "-c", script)
}

// OK runs a script that has to succeed, and returns what it printed, without white space around it.
func (r *Rig) OK(pod, script string) string {
	r.T.Helper()
	out, code := r.Sh(pod, script)
	require.Zero(r.T, code, "%s: %s", script, out)
	return strings.TrimSpace(out)
}

// Fails runs a script that has to fail with these words.
func (r *Rig) Fails(pod, script, words string) {
	r.T.Helper()
	out, code := r.Sh(pod, script)
	require.NotZero(r.T, code, "%s succeeds: %s", script, out)
	require.Contains(r.T, out, words, script)
}
