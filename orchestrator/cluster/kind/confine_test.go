package kind

import (
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

// TestConfinement takes the subnets of the user's configuration, and leaves to kube-proxy what it does by itself.
func TestConfinement(t *testing.T) {
	t.Parallel()
	noPods := []string{"ip", "route", "replace", "unreachable", "10.8.0.0/16"}
	noServices := []string{"ip", "route", "replace", "unreachable", "10.9.0.0/16"}
	reject := func(chain string) []string {
		rule := chain + " --destination 10.9.0.0/16 --jump REJECT"
		return []string{"sh", "-c", "iptables --wait --check " + rule + " 2>/dev/null || iptables --wait --insert " + rule}
	}
	for _, tc := range []struct {
		mode v1alpha4.ProxyMode
		want [][]string
	}{
		{v1alpha4.IPTablesProxyMode, [][]string{noPods, reject("FORWARD"), reject("OUTPUT")}},
		{v1alpha4.NFTablesProxyMode, [][]string{noPods}},
		{v1alpha4.IPVSProxyMode, [][]string{noPods, noServices}},
	} {
		require.Equal(t, tc.want, confinement(v1alpha4.Networking{PodSubnet: "10.8.1.0/16", ServiceSubnet: "10.9.0.0/16", KubeProxyMode: tc.mode}), tc.mode)
	}
}
