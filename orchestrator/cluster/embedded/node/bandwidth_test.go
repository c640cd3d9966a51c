package node

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/cri"
)

func TestBandwidthAnnotations(t *testing.T) {
	cfg, err := podConfig(cri.PodNetwork{Annotations: map[string]string{ingressAnnotation: "10M", egressAnnotation: "1Ki"}})
	require.NoError(t, err)
	require.Equal(t, uint64(1_250_000), cfg.IngressRate)
	require.Equal(t, uint64(128), cfg.EgressRate)
	cfg, err = podConfig(cri.PodNetwork{Annotations: map[string]string{ingressAnnotation: "1P", egressAnnotation: "1k"}})
	require.NoError(t, err)
	require.Equal(t, uint64(125_000_000_000_000), cfg.IngressRate)
	require.Equal(t, uint64(125), cfg.EgressRate)
}

func TestBandwidthAnnotationsThatAreWrong(t *testing.T) {
	for _, key := range []string{ingressAnnotation, egressAnnotation} {
		for text, words := range map[string]string{
			"":       "quantities must match the regular expression",
			"10Mbit": "quantities must match the regular expression",
			"999":    "resource is unreasonably small (< 1kbit)",
			"10m":    "resource is unreasonably small (< 1kbit)", // milli.
			"-1M":    "resource is unreasonably small (< 1kbit)",
			"2P":     "resource is unreasonably large (> 1Pbit)",
		} {
			pod := cri.PodNetwork{Annotations: map[string]string{key: text}}
			_, err := podConfig(pod)
			require.ErrorContains(t, err, "reading pod bandwidth annotations: "+words, text)
			pod.HostNetwork = true
			_, err = podConfig(pod)
			require.NoError(t, err, "on the host network nothing is shaped")
		}
	}
}
