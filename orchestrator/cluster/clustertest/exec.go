package clustertest

import (
	"bytes"
	"errors"
	"strings"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

// Exec runs a command in the first container of a pod and returns what it printed, and its exit code.
func (r *Rig) Exec(pod string, argv ...string) (string, int) {
	r.T.Helper()
	req := r.Kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(r.Namespace).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: argv, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(r.REST, "GET", req.URL().String())
	require.NoError(r.T, err)
	var out, errs bytes.Buffer
	err = executor.StreamWithContext(r.T.Context(), remotecommand.StreamOptions{Stdout: &out, Stderr: &errs})
	var exit interface{ ExitStatus() int }
	if errors.As(err, &exit) {
		return out.String() + errs.String(), exit.ExitStatus()
	}
	require.NoError(r.T, err, "exec in %s: %s", pod, errs.String())
	return out.String() + errs.String(), 0
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
