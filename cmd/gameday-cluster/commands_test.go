package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsageErrors(t *testing.T) {
	spec := filepath.Join(t.TempDir(), "cluster.json")
	require.NoError(t, os.WriteFile(spec, []byte(`{"name":"c","nodes":[{"name":"node-1"}]}`), 0o600))
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"nothing", nil, "which process?"},
		{"no spec", []string{"control-plane"}, "--spec is required"},
		{"unknown flag", []string{"node", "--nome", "x"}, "unknown flag: --nome"},
		{"no node", []string{"node", "--spec", spec}, "--name is required"},
		{"unknown node", []string{"node", "--spec", spec, "--name", "node-9"}, "no such node"},
		{"stray argument", []string{"control-plane", "please"}, `unknown command "please"`},
		{"bad level", []string{"control-plane", "--spec", spec, "--log-level", "loud"}, "--log-level"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, exitUsage, run(tc.args, &stdout, &stderr))
			require.Contains(t, stderr.String(), tc.want)
			require.Empty(t, stdout.String(), "stdout is for events")
		})
	}
}

func TestFailureIsAnEvent(t *testing.T) {
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitFailed, run([]string{"control-plane", "--spec", filepath.Join(t.TempDir(), "none")}, &stdout, &stderr))
	var event map[string]string
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &event))
	require.Equal(t, "failed", event["event"])
	require.Contains(t, event["error"], "read cluster spec")
}
