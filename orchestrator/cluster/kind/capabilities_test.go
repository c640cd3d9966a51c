package kind

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/orchestrator/chaosmesh"
)

func TestCapabilities(t *testing.T) {
	t.Parallel()
	chart := t.TempDir()
	text := "apiVersion: v2\nname: chaos-mesh\nversion: 1.0.0\nannotations: {" + chaosmesh.LacksAnnotation + ": HTTPChaos IOChaos}\n"
	require.NoError(t, os.WriteFile(filepath.Join(chart, "Chart.yaml"), []byte(text), 0o600))
	nodes := []string{faults.NodeFailure, faults.KubeletFailure, faults.NodeScheduling, faults.SystemNamespace, faults.CustomMetrics}
	for name, tc := range map[string]struct {
		chaos chaosmesh.Options
		has   []string
	}{
		"release":           {chaosmesh.Options{}, []string{faults.HTTPChaos, faults.IOChaos, faults.Netem, faults.TBF}},
		"with a DNS server": {chaosmesh.Options{DNSServer: true}, []string{faults.HTTPChaos, faults.IOChaos, faults.DNSChaos, faults.Netem, faults.TBF}},
		"without helpers":   {chaosmesh.Options{Chart: chart}, []string{faults.Netem, faults.TBF}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &Provider{Chaos: tc.chaos}
			has := p.Capabilities()
			require.Equal(t, append(nodes[:len(nodes):len(nodes)], tc.has...), has)
			for _, capability := range faults.CapabilityNames() {
				require.Equal(t, slices.Contains(has, capability), p.WhyNot(capability) == "", capability)
			}
		})
	}
	require.Contains(t, (&Provider{Chaos: chaosmesh.Options{Chart: chart}}).WhyNot(faults.IOChaos), "as its chart says")
}
