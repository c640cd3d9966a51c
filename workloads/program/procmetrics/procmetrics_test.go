package procmetrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/workloads/program/procmetrics"
)

// gathered is what a collector says: names with help and type, and values by name.
func gathered(t *testing.T, c prometheus.Collector) (says map[string]string, values map[string]float64) {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	require.NoError(t, r.Register(c))
	families, err := r.Gather()
	require.NoError(t, err)
	says, values = map[string]string{}, map[string]float64{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "process_network_") {
			continue
		}
		says[f.GetName()] = f.GetHelp() + " " + f.GetType().String()
		m := f.GetMetric()[0]
		values[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return says, values
}

// TestItSaysWhatClientGolangsSays, but for the network.
func TestItSaysWhatClientGolangsSays(t *testing.T) {
	theirs, want := gathered(t, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{ReportErrors: true}))
	ours, got := gathered(t, procmetrics.New())
	require.Equal(t, theirs, ours)
	for _, same := range []string{"process_max_fds", "process_virtual_memory_max_bytes"} {
		require.InEpsilon(t, want[same], got[same], 1e-9, same)
	}
	for _, near := range []string{"process_virtual_memory_bytes", "process_resident_memory_bytes"} {
		require.InEpsilon(t, want[near], got[near], 0.5, near)
	}
	require.InDelta(t, want["process_open_fds"], got["process_open_fds"], 5)
	require.InDelta(t, want["process_cpu_seconds_total"], got["process_cpu_seconds_total"], 1)
	require.InDelta(t, float64(time.Now().Unix()), got["process_start_time_seconds"], 60)
}
