package orchestrator

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/evaluator"
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
	definition := inventory.Key{Kind: "CustomResourceDefinition", Name: "caches.example.com"}
	class := inventory.Key{Kind: "StorageClass", Name: "standard"}
	namespace := inventory.Key{Kind: "Namespace", Name: "hotel"}
	provisioner := inventory.Key{Kind: "Deployment", Namespace: "local-path-storage", Name: "provisioner"}
	proxies := inventory.Key{Kind: "DaemonSet", Namespace: "kube-system", Name: "kube-proxy"}
	const isDefault = "storageclass.kubernetes.io/is-default-class"
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
		"proxies' image":            {change: inventory.Change{Key: proxies, Type: "changed", Field: "spec.template.spec.initContainers[0].image", Before: "proxy:1", After: "proxy:2"}, broken: kept},
		"provisioner deleted":       {change: inventory.Change{Key: provisioner, Type: "deleted"}, broken: kept},
		"provisioner's image":       {change: inventory.Change{Key: provisioner, Type: "changed", Field: "spec.template.spec.containers[0].image", Before: "p:1", After: "p:2"}, broken: kept},
		"definition deleted":        {change: inventory.Change{Key: definition, Type: "deleted"}, broken: kept},
		"definition changed":        {change: inventory.Change{Key: definition, Type: "changed", Field: "spec.versions[0].served", Before: true, After: false}, broken: kept},
		"definition of one's own":   {change: inventory.Change{Key: definition, Type: "created"}},
		"definition to repair":      {change: inventory.Change{Key: definition, Type: "changed", Field: "spec.versions[0].served"}, allowed: []truth.AllowedChange{{Kind: "CustomResourceDefinition", Fields: []string{"spec.versions[0].served"}}}},
		"class deleted":             {change: inventory.Change{Key: class, Type: "deleted"}, broken: kept},
		"class of one's own":        {change: inventory.Change{Key: class, Type: "created"}},
		"class's note":              {change: inventory.Change{Key: class, Type: "changed", Field: "metadata.annotations.seen", After: "yes"}},
		"class no longer default":   {change: inventory.Change{Key: class, Type: "changed", Field: "metadata.annotations." + isDefault, Before: "true", After: "false"}, broken: kept},
		"class default from now on": {change: inventory.Change{Key: class, Type: "changed", Field: "metadata.annotations", After: map[string]any{isDefault: "true"}}, broken: kept},
		"rights deleted":            {change: inventory.Change{Key: inventory.Key{Kind: "ClusterRole", Name: "view"}, Type: "deleted"}, broken: kept},
		"rights of the agent":       {change: inventory.Change{Key: inventory.Key{Kind: "ClusterRole", Name: "oncall"}, Type: "created"}},
		"policy of admission":       {change: inventory.Change{Key: inventory.Key{Kind: "ValidatingAdmissionPolicyBinding", Name: "b"}, Type: "created"}, broken: kept},
		"namespace deleted":         {change: inventory.Change{Key: namespace, Type: "deleted"}, broken: kept},
		"namespace of one's own":    {change: inventory.Change{Key: inventory.Key{Kind: "Namespace", Name: "scratch"}, Type: "created"}},
		"namespace's label":         {change: inventory.Change{Key: namespace, Type: "changed", Field: "metadata.labels.team", After: "a"}},
		"namespace refuses pods":    {change: inventory.Change{Key: namespace, Type: "changed", Field: "metadata.labels.pod-security.kubernetes.io/enforce", After: "restricted"}, broken: kept},
		"node's label":              {change: inventory.Change{Key: inventory.Key{Kind: "Node", Name: "node-1"}, Type: "changed", Field: "metadata.labels.seen", After: "yes"}},
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

// TestWhatIsMadeInANewNamespace: a policy confines nobody in a namespace that was made with it.
func TestWhatIsMadeInANewNamespace(t *testing.T) {
	t.Parallel()
	policy := inventory.Change{Key: inventory.Key{Kind: "NetworkPolicy", Namespace: "scratch", Name: "p"}, Type: "created"}
	namespace := inventory.Change{Key: inventory.Key{Kind: "Namespace", Name: "scratch"}, Type: "created"}
	held := func(changes ...inventory.Change) bool {
		return !slices.ContainsFunc(objectInvariants(changes, "hotel", nil, nil), func(e evaluator.InvariantEvidence) bool { return !e.Held })
	}
	require.True(t, held(namespace, policy))
	require.False(t, held(policy))
}
