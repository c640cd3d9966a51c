package chaosmesh

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// upstream is the chart in Chaos Mesh's own module. The test is skipped where the module is not on the disk.
func upstream(t *testing.T) *chart.Chart {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/chaos-mesh/chaos-mesh").Output()
	if err != nil || len(strings.TrimSpace(string(dir))) == 0 {
		t.Skipf("the module of Chaos Mesh is not there: %v", err)
	}
	ch, err := loader.Load(filepath.Join(strings.TrimSpace(string(dir)), "helm", "chaos-mesh"))
	require.NoError(t, err)
	return ch
}

// everyOption sets everything that values reads.
func everyOption() map[string]any {
	return values(Options{DNSServer: true, ControlPlane: true}, nodeRuntime{"crio", "/var/run/crio/crio.sock"},
		images{"registry.example.com/mirror", "v2.8.4"}, "registry.example.com/pause:3.10")
}

// TestUpstreamKnowsTheValues finds a key that the chart has renamed: Helm takes any, and templates ignore what they do not know.
func TestUpstreamKnowsTheValues(t *testing.T) {
	t.Parallel()
	known(t, "values", upstream(t).Values, everyOption())
}

// known requires of each setting that it has a default. What is an empty object there has any keys.
func known(t *testing.T, path string, defaults, settings map[string]any) {
	t.Helper()
	for key, setting := range settings {
		require.Contains(t, defaults, key, "the chart has no %s.%s", path, key)
		below, isObject := setting.(map[string]any)
		if there, ok := defaults[key].(map[string]any); isObject && ok && len(there) > 0 {
			known(t, path+"."+key, there, below)
		}
	}
}

// TestUpstreamIsWhatIsWaitedFor renders the real chart: names, labels and webhooks are what the rest of the package looks for.
func TestUpstreamIsWhatIsWaitedFor(t *testing.T) {
	t.Parallel()
	in := action.NewInstall(&action.Configuration{Log: func(string, ...any) {}})
	in.ReleaseName, in.Namespace = releaseName, DefaultNamespace
	in.ClientOnly, in.DryRun, in.SkipCRDs = true, true, true
	rel, err := in.RunWithContext(t.Context(), upstream(t), everyOption())
	require.NoError(t, err)
	require.Equal(t, chartName, rel.Chart.Metadata.Name)

	documents := map[string]string{}
	for document := range strings.SplitSeq(rel.Manifest, "\n---\n") {
		var head struct {
			Kind     string
			Metadata struct{ Name string }
		}
		require.NoError(t, yaml.Unmarshal([]byte(document), &head))
		documents[head.Kind+" "+head.Metadata.Name] = document
	}
	require.Contains(t, documents, "Deployment "+dnsName)
	require.NotContains(t, documents, "Deployment chaos-dashboard")
	require.Contains(t, rel.Manifest, "name: vnetworkchaos.kb.io")

	var controller appsv1.Deployment
	require.NoError(t, yaml.Unmarshal([]byte(documents["Deployment "+controllerName]), &controller))
	require.Equal(t, int32(1), replicas(&controller))
	require.Equal(t, "controller-manager", controller.Spec.Template.Labels[componentLabel])
	require.Equal(t, releaseName, controller.Spec.Template.Labels[instanceLabel])
	container := controller.Spec.Template.Spec.Containers[0]
	require.Equal(t, "registry.example.com/mirror/chaos-mesh/chaos-mesh:v2.8.4", container.Image)
	env := map[string]string{}
	for _, e := range container.Env {
		env[e.Name] = e.Value
	}
	require.Equal(t, "false", env["ENABLE_LEADER_ELECTION"])
	require.Equal(t, "registry.example.com/pause:3.10", env["POD_FAILURE_PAUSE_IMAGE"])
	require.Equal(t, canaryPort, env["WEBHOOK_PORT"], "the canary's hint is about the webhook's port")

	var daemon appsv1.DaemonSet
	require.NoError(t, yaml.Unmarshal([]byte(documents["DaemonSet "+daemonName]), &daemon))
	require.Equal(t, "chaos-daemon", daemon.Spec.Template.Labels[componentLabel])
	container = daemon.Spec.Template.Spec.Containers[0]
	require.Equal(t, "registry.example.com/mirror/chaos-mesh/chaos-daemon:v2.8.4", container.Image)
	require.Subset(t, container.Command, []string{"--runtime", "crio", "/host-run/crio.sock"})
	require.Contains(t, documents["DaemonSet "+daemonName], "path: /var/run/crio\n")
}
