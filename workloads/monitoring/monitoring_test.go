package monitoring_test

import (
	"log/slog"
	"testing"

	"github.com/prometheus/prometheus/config"
	_ "github.com/prometheus/prometheus/discovery/kubernetes" // Registers kubernetes_sd_configs.
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	adapterconfig "sigs.k8s.io/prometheus-adapter/pkg/config"

	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/monitoring"
	"github.com/gameday-bench/gameday/workloads/monitoring/kubestate"
	"github.com/gameday-bench/gameday/workloads/monitoring/prometheus"
	"github.com/gameday-bench/gameday/workloads/monitoring/prometheusadapter"
	"github.com/gameday-bench/gameday/workloads/monitoring/tracestore"
)

func TestImagesAreThoseOfThePrograms(t *testing.T) {
	t.Parallel()
	p, k, j, a := prometheus.Image(), kubestate.Image(), tracestore.Image(), prometheusadapter.Image()
	require.Equal(t, monitoring.AdapterImage, a.Repository+":"+a.Tags[0])
	require.Equal(t, monitoring.PrometheusImage, p.Repository+":"+p.Tags[0])
	require.Equal(t, monitoring.KubeStateImage, k.Repository+":"+k.Tags[0])
	require.Equal(t, monitoring.JaegerImage, j.Repository+":"+j.Tags[0])
}

func TestObjects(t *testing.T) {
	t.Parallel()
	set, err := monitoring.New(definition(), "hotel").Objects("monitoring")
	require.NoError(t, err)
	require.Equal(t, "Namespace", set[0].GetKind())
	for _, u := range set {
		if u.GetKind() == "ConfigMap" && u.GetName() == "prometheus-config" {
			text, _, err := unstructured.NestedString(u.Object, "data", "prometheus.yml")
			require.NoError(t, err)
			cfg, err := config.Load(text, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			require.Len(t, cfg.ScrapeConfigs, 6)
			return
		}
	}
	t.Fatal("no configuration")
}

// TestEveryApplicationHasRules: what the catalogue's applications declare makes valid rules.
func TestEveryApplicationHasRules(t *testing.T) {
	t.Parallel()
	catalog, err := workloads.LoadCatalog(workloads.Embedded())
	require.NoError(t, err)
	for _, app := range catalog.All() {
		rules, err := monitoring.New(app, app.Namespace).Rules()
		require.NoError(t, err)
		require.Contains(t, rules["objectives.yaml"], "ErrorBudgetBurn")
		require.Contains(t, rules["expectations.yaml"], "service:errors:expected")
	}
}

// TestAdapterConfiguration: what the adapter is given is what it reads.
func TestAdapterConfiguration(t *testing.T) {
	t.Parallel()
	set, err := monitoring.New(nil, "").Objects("monitoring")
	require.NoError(t, err)
	for _, u := range set {
		if u.GetKind() != "ConfigMap" || u.GetName() != "adapter-config" {
			continue
		}
		text, _, err := unstructured.NestedString(u.Object, "data", "config.yaml")
		require.NoError(t, err)
		rules, err := adapterconfig.FromYAML([]byte(text))
		require.NoError(t, err)
		require.Len(t, rules.Rules, 3)
		require.Len(t, rules.ExternalRules, 2)
		return
	}
	t.Fatal("no configuration of the adapter")
}
