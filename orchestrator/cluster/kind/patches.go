package kind

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// Patches of what kind gives kubeadm. They name no version of kubeadm's API: kind then fits arguments to the one that it uses.
const (
	// namePatch keeps the name of the cluster, which tells of the harness, from where agents look.
	namePatch = "kind: ClusterConfiguration\nclusterName: kubernetes\n"
	// soloPatch has the only controller manager and the only scheduler not elect themselves: their leases and events would hold the host name
	// of the control plane's container.
	soloPatch = `kind: ClusterConfiguration
controllerManager:
  extraArgs:
    leader-elect: "false"
scheduler:
  extraArgs:
    leader-elect: "false"
`
	// cgroupPatch lets the kubelet run where control groups are of version 1, which it refuses by itself from 1.35 on.
	cgroupPatch = "kind: KubeletConfiguration\nfailCgroupV1: false\n"
	// hastyKubelet and hastyControl are the timing "fast": the same loops, with periods that fit a trial of some minutes. They are longer
	// than the embedded cluster's: a node that is a container shares its processors with everything else.
	hastyKubelet = `kind: KubeletConfiguration
nodeStatusUpdateFrequency: 4s
nodeLeaseDurationSeconds: 16
syncFrequency: 10s
`
	hastyControl = `kind: ClusterConfiguration
apiServer:
  extraArgs:
    default-not-ready-toleration-seconds: "10"
    default-unreachable-toleration-seconds: "10"
controllerManager:
  extraArgs:
    node-monitor-period: 2s
    node-monitor-grace-period: 20s
    horizontal-pod-autoscaler-sync-period: 3s
    horizontal-pod-autoscaler-downscale-stabilization: 60s
    horizontal-pod-autoscaler-cpu-initialization-period: 60s
    horizontal-pod-autoscaler-initial-readiness-delay: 6s
`
)

// timingPatches are how quickly controllers and kubelets react.
func timingPatches(fidelity string) ([]string, error) {
	switch fidelity {
	case "", "fast":
		return []string{hastyControl, hastyKubelet}, nil
	case "production":
		return nil, nil
	}
	return nil, errs.Hint(errs.Newf(errs.Usage, "plan cluster: unknown fidelity %q", fidelity), "choose fast or production")
}

// nodePatch is what one node registers with: its own name in place of its container's, no provider id, which would have the container's
// name in it, and what its group asks for. Of the two documents kubeadm reads the one that fits the node.
func nodePatch(name string, g cluster.NodeGroup) string {
	args := map[string]any{"provider-id": nil} // A null takes an argument of kind's away.
	if g.MaxPods != 0 {
		args["max-pods"] = strconv.Itoa(int(g.MaxPods))
	}
	if g.PodPIDs != 0 {
		args["pod-max-pids"] = strconv.FormatInt(g.PodPIDs, 10)
	}
	if e := g.Eviction; e != nil {
		for flag, thresholds := range map[string]string{
			"eviction-hard": pairs(e.Hard, "<"), "eviction-soft": pairs(e.Soft, "<"), "eviction-soft-grace-period": pairs(e.SoftGracePeriod, "="),
		} {
			if thresholds != "" {
				args[flag] = thresholds
			}
		}
	}
	registration := map[string]any{"name": name, "kubeletExtraArgs": args}
	if len(g.Taints) > 0 {
		var taints []map[string]string
		for _, t := range g.Taints {
			taints = append(taints, map[string]string{"key": t.Key, "value": t.Value, "effect": t.Effect})
		}
		registration["taints"] = taints
	}
	var documents []string
	for _, kind := range []string{"InitConfiguration", "JoinConfiguration"} {
		text, _ := yaml.Marshal(map[string]any{"kind": kind, "nodeRegistration": registration}) // Plain data always encodes.
		documents = append(documents, string(text))
	}
	return strings.Join(documents, "---\n")
}

// pairs writes a map as the kubelet's flags have it, sorted.
func pairs(m map[string]string, between string) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s%s%s", key, between, m[key]))
	}
	return strings.Join(out, ",")
}
