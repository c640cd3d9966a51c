//go:build kind

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/gameday-bench/gameday/orchestrator/inventory"
	"github.com/gameday-bench/gameday/results"
)

// existingCluster uses a kind cluster as one that is there already: with its context, its images and its Chaos Mesh. One problem is played on
// it, and afterwards it holds what it held before.
func existingCluster(t *testing.T) {
	h := newHarness(t)
	const name = "there"
	code, stdout, stderr := h.call(t, append([]string{"create", "cluster", name, "--nodes", "3"}, kindFlags()...)...)
	require.Zero(t, code, stderr)
	kubeconfig := strings.TrimSpace(stdout)
	config, err := clientcmd.LoadFromFile(kubeconfig)
	require.NoError(t, err)
	target := config.CurrentContext
	server := config.Clusters[config.Contexts[target].Cluster].Server
	flags := []string{"--cluster", "existing", "--kubeconfig", kubeconfig, "--context", target}

	code, _, stderr = h.call(t, "run", chaosProblem, "--agent", "oracle", "--cluster", "existing", "--kubeconfig", kubeconfig)
	require.Equal(t, 2, code, "the current context is never taken: %s", stderr)
	// Nothing is pulled: kind has put the images on the nodes. Agents may cordon nodes, for that is how the problem is repaired.
	able := append([]string{"--registry", "registry.local", "--allow-cordon"}, flags...)
	code, stdout, stderr = h.call(t, append([]string{"doctor"}, able...)...)
	require.Zero(t, code, "%s%s", stdout, stderr)
	before := whole(t, kubeconfig)

	const id = "existing"
	args := append([]string{"run", chaosProblem, "--agent", "oracle", "--run-id", id, "--out", h.runs, "--progress", "plain", "--timeout-multiplier", "3"}, able...)
	code, stdout, stderr = h.call(t, args...)
	t.Logf("%s\n%s", stderr, stdout)
	require.Zero(t, code)
	require.Contains(t, stderr, server, "the run says which cluster it uses")
	data := h.load(t, id)
	require.Len(t, results.Latest(data.Trials), 1)
	for _, r := range results.Latest(data.Trials) {
		require.Equal(t, results.Graded, r.Status)
		requireScores(t, r, 1)
	}

	requireSame(t, before, kubeconfig)
	code, _, stderr = h.call(t, append([]string{"delete", "cluster"}, flags...)...)
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "nothing was left on context "+target)
	code, _, stderr = h.call(t, "delete", "cluster", name)
	require.Zero(t, code, stderr)
	require.Empty(t, containers(t, "", ""))
}

// whole is everything that a cluster holds, but for what comes and goes by itself.
func whole(t *testing.T, kubeconfig string) inventory.Inventory {
	t.Helper()
	got, err := takeWhole(t.Context(), kubeconfig)
	require.NoError(t, err)
	return got
}

func takeWhole(ctx context.Context, kubeconfig string) (inventory.Inventory, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 100, 200
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	lister, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	resources, err := inventory.Resources(lister)
	if err != nil {
		return nil, err
	}
	w, err := inventory.TakeWhole(ctx, client, resources)
	if err != nil {
		return nil, err
	}
	w.Settle() // Chaos Mesh's canary may be on its way out.
	return w.Inventory, nil
}

// requireSame: the cluster holds what it held before. Controllers may take some seconds: the taint of a node that was cordoned goes by itself.
func requireSame(t *testing.T, before inventory.Inventory, kubeconfig string) {
	t.Helper()
	late := time.After(time.Minute)
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		now, err := takeWhole(t.Context(), kubeconfig)
		changes := inventory.Diff(before, now)
		if err == nil && len(changes) == 0 {
			return
		}
		select {
		case <-late:
			require.NoError(t, err)
			require.Empty(t, changes, "the run left something behind")
		case <-tick.C:
		}
	}
}
