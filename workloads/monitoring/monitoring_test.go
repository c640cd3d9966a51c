package monitoring_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/kubernetes" // Registers kubernetes_sd_configs, too.
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
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
			require.Len(t, cfg.ScrapeConfigs, 7)
			return
		}
	}
	t.Fatal("no configuration")
}

// TestWithin: on a cluster that has other users, the stack looks at nothing of theirs and takes nothing that a cluster has once.
func TestWithin(t *testing.T) {
	t.Parallel()
	set, err := monitoring.New(definition(), "hotel").Within("monitoring", "hotel", "clients").Objects("monitoring")
	require.NoError(t, err)
	text := ""
	for _, u := range set {
		require.NotEqual(t, "APIService", u.GetKind())
		require.Contains(t, []string{"", "monitoring"}, u.GetNamespace(), "%s %s", u.GetKind(), u.GetName())
		require.NotContains(t, u.GetName(), "adapter")
		switch u.GetKind() {
		case "ClusterRole":
			require.Contains(t, u.GetName(), "monitoring:")
			require.NotContains(t, fmt.Sprint(u.Object["rules"]), "nodes/proxy")
			require.Contains(t, fmt.Sprint(u.Object["rules"]), "nodes")
		case "ConfigMap":
			if data, found, _ := unstructured.NestedString(u.Object, "data", "prometheus.yml"); found {
				text = data
			}
		}
	}
	cfg, err := config.Load(text, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Len(t, cfg.ScrapeConfigs, 7)
	for _, sc := range cfg.ScrapeConfigs {
		confined := false
		for _, r := range sc.MetricRelabelConfigs {
			confined = confined || r.Action == relabel.Keep && len(r.SourceLabels) == 1 && r.SourceLabels[0] == "namespace" && r.Regex.String() == "|clients|hotel|monitoring"
		}
		require.Equal(t, slices.Contains([]string{"cadvisor", "kube-state-metrics", "probes"}, sc.JobName), confined, sc.JobName)
		for _, sd := range sc.ServiceDiscoveryConfigs {
			if k, ok := sd.(*kubernetes.SDConfig); ok && sc.JobName == "pods" {
				require.Equal(t, []string{"clients", "hotel", "monitoring"}, k.NamespaceDiscovery.Names)
			}
		}
	}
}

// TestProbesAreFewSeries: of the kubelet's metrics of probes only the counter is kept, and not by the pod's UID, which changes with every pod.
func TestProbesAreFewSeries(t *testing.T) {
	t.Parallel()
	set, err := monitoring.New(definition(), "hotel").Objects("monitoring")
	require.NoError(t, err)
	i := slices.IndexFunc(set, func(u *unstructured.Unstructured) bool { return u.GetName() == "prometheus-config" })
	require.GreaterOrEqual(t, i, 0)
	text, _, err := unstructured.NestedString(set[i].Object, "data", "prometheus.yml")
	require.NoError(t, err)
	cfg, err := config.Load(text, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	j := slices.IndexFunc(cfg.ScrapeConfigs, func(sc *config.ScrapeConfig) bool { return sc.MetricsPath == "/metrics/probes" })
	require.GreaterOrEqual(t, j, 0)
	scraped := func(name string) string {
		series := labels.NewBuilder(labels.FromStrings("__name__", name, "container", "geo", "namespace", "hotel", "pod", "geo-1", "pod_uid", "x"))
		if !relabel.ProcessBuilder(series, cfg.ScrapeConfigs[j].MetricRelabelConfigs...) {
			return ""
		}
		return series.Labels().String()
	}
	require.Equal(t, `{__name__="prober_probe_total", container="geo", namespace="hotel", pod="geo-1"}`, scraped("prober_probe_total"))
	require.Empty(t, scraped("prober_probe_duration_seconds_bucket"))
	require.Empty(t, scraped("process_start_time_seconds"))
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
