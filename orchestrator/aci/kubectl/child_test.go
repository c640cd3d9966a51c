package kubectl_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/aci/kubectl"
)

// TestMain lets the test's own executable be the child that costly commands run in, as the real one is.
func TestMain(m *testing.M) {
	kubectl.ServeChild()
	os.Exit(m.Run())
}

// doubled is a template that doubles a text of a megabyte n times.
func doubled(n int) string {
	return `{{$x := printf "%1000000d" 1}}` + strings.Repeat(`{{$x = print $x $x}}`, n) + `{{len $x}}`
}

// TestExpressions: templates and paths work, wherever they are evaluated.
func TestExpressions(t *testing.T) {
	t.Parallel()
	k, _, workspace := setup(t)
	require.NoError(t, os.WriteFile(workspace+"/kinds", []byte(`{{range .items}}{{.kind}}!{{end}}`), 0o600))
	for _, tc := range []struct {
		line, want string
		failed     bool
	}{
		{line: `get cm -o go-template='{{range .items}}{{.kind}};{{end}}'`, want: "ConfigMap;"},
		{line: `get cm -o template --template='{{.kind}}!'`, want: "List!"},
		{line: `get cm -o go-template-file=kinds`, want: "ConfigMap!"},
		{line: `get cm -o go-template='` + doubled(4) + `'`, want: "16000000"},
		{line: `get cm -o go-template='{{.kind'`, want: "unclosed action", failed: true},
		{line: `get pod nosuch -o go-template='{{.kind}}'`, want: "the thing was not found", failed: true},
		{line: `get cm -o jsonpath='{..kind}'`, want: "ConfigMap"},
		{line: `get cm -o jsonpath="{.items[*]['kind','apiVersion']}"`, want: "ConfigMap v1"},
		{line: `get cm -o jsonpath='{range .items[*]}{.kind}{"\n"}{end}'`, want: "ConfigMap\n"},
		{line: `get cm -o custom-columns=K:.kind,N:.metadata.name`, want: "ConfigMap"},
		{line: `get cm --sort-by=.metadata.name -o name`, want: "configmap/"},
	} {
		out := k.Run(t.Context(), kubectl.Command{Line: tc.line})
		require.Contains(t, out.Text, tc.want, tc.line)
		require.Equal(t, tc.failed, out.Failed, "%s: %s", tc.line, out.Text)
		require.NotContains(t, out.Text, workspace, tc.line)
	}
}

// TestExpressionsThatNeverEnd: what takes all the memory or all the time that it gets is ended, and takes nothing of this process.
func TestExpressionsThatNeverEnd(t *testing.T) {
	t.Parallel()
	const stopped = "error: the command was stopped after 1s"
	for name, tc := range map[string]struct {
		line    string
		timeout time.Duration
		want    string // Empty where it depends on the machine what comes first.
	}{
		"memory":        {`get cm -o go-template='` + doubled(40) + `'`, 15 * time.Second, "needs more than 1024 MiB of memory"},
		"time":          {`get cm -o go-template='{{range 1000000000000}}{{end}}'`, time.Second, stopped},
		"text":          {`get cm -o go-template='{{range 1000000000000}}0123456789{{end}}'`, time.Second, ""},
		"ranges":        {`get cm -o jsonpath='` + strings.Repeat("{range @}", 60) + `'`, time.Second, ""},
		"patch":         {`patch --local -f cm.json --type=json -p '` + copies(60) + `'`, time.Second, ""},
		"kustomization": {`apply -k 0/a`, time.Second, stopped},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, _, workspace := setup(t)
			require.NoError(t, os.WriteFile(workspace+"/cm.json", []byte(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"},"data":{}}`), 0o600))
			writeBases(t, workspace, 20)
			started := time.Now()
			out := k.Run(t.Context(), kubectl.Command{Line: tc.line, Timeout: tc.timeout})
			require.True(t, out.Failed, out.Text)
			require.Contains(t, out.Text, tc.want)
			require.Less(t, time.Since(started), time.Minute)
		})
	}
}

// writeBases writes kustomizations in levels of two, each of which includes both of the next level.
func writeBases(t *testing.T, workspace string, levels int) {
	t.Helper()
	for level := range levels {
		for _, half := range []string{"a", "b"} {
			dir := fmt.Sprintf("%s/%d/%s", workspace, level, half)
			require.NoError(t, os.MkdirAll(dir, 0o700))
			content := fmt.Sprintf("namePrefix: %s-\nresources: [../../%d/a, ../../%d/b]\n", half, level+1, level+1)
			if level == levels-1 {
				content = "configMapGenerator: [{name: x}]\n"
			}
			require.NoError(t, os.WriteFile(dir+"/kustomization.yaml", []byte(content), 0o600))
		}
	}
}

// copies is a JSON patch that copies the data of an object into itself, in two places by turns, so that n rounds make more than 2^n of it.
func copies(n int) string {
	const round = `{"op":"copy","from":"/data","path":"/data/a"},{"op":"copy","from":"/data","path":"/data/b"},`
	return `[` + strings.TrimSuffix(strings.Repeat(round, n), ",") + `]`
}
