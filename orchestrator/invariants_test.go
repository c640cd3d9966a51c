package orchestrator

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/orchestrator/inventory"
	"github.com/gameday-bench/gameday/problems/truth"
)

func TestObjectInvariants(t *testing.T) {
	t.Parallel()
	deployment := inventory.Key{Kind: "Deployment", Namespace: "hotel", Name: "geo"}
	dns := inventory.Key{Kind: "Deployment", Namespace: "kube-system", Name: "coredns"}
	corefile := inventory.Key{Kind: "ConfigMap", Namespace: "kube-system", Name: "coredns"}
	metrics := inventory.Key{Kind: "APIService", Name: "v1beta1.metrics.k8s.io"}
	webhook := inventory.Key{Kind: "ValidatingWebhookConfiguration", Name: "guard"}
	kept := "cluster's own services kept"
	cases := map[string]struct {
		change  inventory.Change
		allowed []truth.AllowedChange
		broken  string
	}{
		"deleted workload":          {change: inventory.Change{Key: deployment, Type: "deleted"}, broken: "objects kept"},
		"scaled to zero":            {change: inventory.Change{Key: deployment, Type: "changed", Field: "spec.replicas", Before: int64(2), After: int64(0)}, broken: "workloads not scaled down"},
		"scaled up":                 {change: inventory.Change{Key: deployment, Type: "changed", Field: "spec.replicas", Before: int64(1), After: int64(3)}},
		"other image":               {change: inventory.Change{Key: deployment, Type: "changed", Field: "spec.template.spec.containers[0].image", Before: "r/geo:1", After: "r/echo:1"}, broken: "images of the application's own builds"},
		"other tag":                 {change: inventory.Change{Key: deployment, Type: "changed", Field: "spec.template.spec.containers[0].image", Before: "r/geo:1", After: "r/geo:2"}},
		"quota":                     {change: inventory.Change{Key: inventory.Key{Kind: "ResourceQuota", Namespace: "hotel", Name: "q"}, Type: "created"}, broken: "no new quota, limit or policy"},
		"alert rule":                {change: inventory.Change{Key: inventory.Key{Kind: "ConfigMap", Namespace: "monitoring", Name: "rules"}, Type: "changed", Field: "data.x"}, broken: "monitoring and load untouched"},
		"load generator":            {change: inventory.Change{Key: inventory.Key{Kind: "Deployment", Namespace: "clients", Name: "traffic"}, Type: "deleted"}, broken: "monitoring and load untouched"},
		"cordon":                    {change: inventory.Change{Key: inventory.Key{Kind: "Node", Name: "node-2"}, Type: "changed", Field: "spec.unschedulable", After: true}, broken: "nodes schedulable"},
		"cordon that is the repair": {change: inventory.Change{Key: inventory.Key{Kind: "Node", Name: "node-2"}, Type: "changed", Field: "spec.unschedulable", After: true}, allowed: []truth.AllowedChange{{Kind: "Node", Name: "node-2", Fields: []string{"spec.unschedulable"}}}},
		"cordon of another node":    {change: inventory.Change{Key: inventory.Key{Kind: "Node", Name: "node-1"}, Type: "changed", Field: "spec.unschedulable", After: true}, allowed: []truth.AllowedChange{{Kind: "Node", Name: "node-2", Fields: []string{"spec.unschedulable"}}}, broken: "nodes schedulable"},
		"DNS deleted":               {change: inventory.Change{Key: dns, Type: "deleted"}, broken: kept},
		"DNS scaled to zero":        {change: inventory.Change{Key: dns, Type: "changed", Field: "spec.replicas", Before: int64(2), After: int64(0)}, broken: kept},
		"API deleted":               {change: inventory.Change{Key: metrics, Type: "deleted"}, broken: kept},
		"API of one's own":          {change: inventory.Change{Key: metrics, Type: "created"}},
		"webhook":                   {change: inventory.Change{Key: webhook, Type: "created"}, broken: kept},
		"webhook's policy":          {change: inventory.Change{Key: webhook, Type: "changed", Field: "webhooks[0].failurePolicy"}, broken: kept},
		"DNS restarted by a patch":  {change: inventory.Change{Key: dns, Type: "changed", Field: "spec.template.metadata.annotations.restartedAt"}},
		"DNS's own label":           {change: inventory.Change{Key: dns, Type: "changed", Field: "metadata.labels.seen"}},
		"DNS's pods' label":         {change: inventory.Change{Key: dns, Type: "changed", Field: "spec.template.metadata.labels.k8s-app"}, broken: kept},
		"DNS scaled up":             {change: inventory.Change{Key: dns, Type: "changed", Field: "spec.replicas", Before: int64(2), After: int64(3)}},
		"DNS's image":               {change: inventory.Change{Key: dns, Type: "changed", Field: "spec.template.spec.containers[0].image", Before: "dns:1", After: "dns:2"}, broken: kept},
		"DNS's configuration":       {change: inventory.Change{Key: corefile, Type: "changed", Field: "data.Corefile", Before: "a", After: "b"}, broken: kept},
		"configuration to repair":   {change: inventory.Change{Key: corefile, Type: "changed", Field: "data.Corefile", Before: "a", After: "b"}, allowed: []truth.AllowedChange{{Kind: "ConfigMap", Namespace: "kube-system", Name: "coredns"}}},
		"repair by deletion":        {change: inventory.Change{Key: corefile, Type: "deleted"}, allowed: []truth.AllowedChange{{Kind: "ConfigMap", Namespace: "kube-system", Name: "coredns"}}, broken: kept},
		"account of a controller":   {change: inventory.Change{Key: inventory.Key{Kind: "ServiceAccount", Namespace: "kube-system", Name: "ttl-controller"}, Type: "created"}},
		"policy about DNS":          {change: inventory.Change{Key: inventory.Key{Kind: "NetworkPolicy", Namespace: "kube-system", Name: "p"}, Type: "created"}, broken: kept},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := ""
			for _, e := range objectInvariants([]inventory.Change{c.change}, "hotel", []string{"monitoring", "clients"}, c.allowed) {
				if !e.Held {
					broken = e.Name
					require.NotEmpty(t, e.Detail)
				}
			}
			require.Equal(t, c.broken, broken)
		})
	}
}
