package chaosmesh

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/gameday-bench/gameday/internal/errs"
)

// images is where Chaos Mesh's images come from. What is empty is left to the chart.
type images struct{ registry, tag string }

// parseImages reads REGISTRY[/PREFIX][:TAG].
func parseImages(s string) (images, error) {
	if s == "" {
		return images{}, nil
	}
	if NamesFile(s) {
		return images{}, badImages(s)
	}
	out := images{registry: s}
	slash := strings.LastIndex(s, "/")
	last := s[slash+1:]
	if colon := strings.LastIndex(last, ":"); colon >= 0 {
		name, tag := last[:colon], last[colon+1:]
		// In localhost:5000 it is a port.
		if port := slash < 0 && !strings.Contains(name, ":") && digits(tag); !port {
			out = images{registry: s[:slash+1] + name, tag: tag}
			if tag == "" {
				return images{}, badImages(s)
			}
		}
	}
	if strings.Trim(out.registry, "/") != out.registry || out.registry == "" || strings.Contains(s, "://") || strings.ContainsAny(s, "@ \t\n") {
		return images{}, badImages(s)
	}
	return out, nil
}

func badImages(s string) error {
	return errs.Hint(errs.Newf(errs.Usage, "images of Chaos Mesh: %q is no REGISTRY[/PREFIX][:TAG]", s),
		"registry.example.com/mirror:v2.8.4, for example, stands for registry.example.com/mirror/chaos-mesh/chaos-daemon:v2.8.4")
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// values are the chart's values. There is no dashboard, and one controller that needs no election: a run has no use for either.
func values(o Options, rt nodeRuntime, from images, pause string) map[string]any {
	controller := map[string]any{
		"replicaCount":   1,
		"leaderElection": map[string]any{"enabled": false},
		"podChaos":       map[string]any{"podFailure": map[string]any{"pauseImage": pause}},
		"nodeSelector":   map[string]any{corev1.LabelOSStable: "linux"},
	}
	if o.ControlPlane {
		const role = "node-role.kubernetes.io/control-plane"
		controller["tolerations"] = []any{map[string]any{"key": role, "operator": "Exists", "effect": "NoSchedule"}}
		controller["affinity"] = map[string]any{"nodeAffinity": map[string]any{
			"preferredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{
				"weight":     100,
				"preference": map[string]any{"matchExpressions": []any{map[string]any{"key": role, "operator": "Exists"}}},
			}},
		}}
	}
	out := map[string]any{
		"enableProfiling":   false,
		"dashboard":         map[string]any{"create": false},
		"prometheus":        map[string]any{"create": false},
		"dnsServer":         map[string]any{"create": o.DNSServer},
		"controllerManager": controller,
		"chaosDaemon": map[string]any{
			"runtime": rt.name, "socketPath": rt.socket,
			"nodeSelector": map[string]any{corev1.LabelOSStable: "linux"},
			// A node that is tainted while a fault is injected there must keep the daemon that has to recover it.
			"tolerations": []any{map[string]any{"operator": "Exists", "effect": "NoExecute"}},
		},
	}
	where := map[string]any{}
	if from.registry != "" {
		where["registry"] = from.registry
	}
	if from.tag != "" {
		where["tag"] = from.tag
	}
	if len(where) > 0 {
		out["images"] = where
	}
	return out
}
