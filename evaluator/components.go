package evaluator

import (
	"regexp"
	"strings"

	"github.com/gameday-bench/gameday/agents"
	"github.com/gameday-bench/gameday/problems/truth"
)

// shortKinds are kubectl's short and plural names of the component kinds.
var shortKinds = map[string]string{
	"deploy": "deployment", "deployments": "deployment", "sts": "statefulset", "statefulsets": "statefulset",
	"ds": "daemonset", "daemonsets": "daemonset", "po": "pod", "pods": "pod", "svc": "service", "services": "service",
	"no": "node", "nodes": "node", "cm": "configmap", "configmaps": "configmap", "secrets": "secret",
	"netpol": "networkpolicy", "networkpolicies": "networkpolicy", "ing": "ingress", "ingresses": "ingress",
	"sa": "serviceaccount", "serviceaccounts": "serviceaccount", "hpa": "horizontalpodautoscaler",
	"horizontalpodautoscalers": "horizontalpodautoscaler", "pdb": "poddisruptionbudget",
	"poddisruptionbudgets": "poddisruptionbudget", "pvc": "persistentvolumeclaim",
	"persistentvolumeclaims": "persistentvolumeclaim", "quota": "resourcequota", "resourcequotas": "resourcequota",
	"ns": "namespace", "namespaces": "namespace", "jobs": "job", "cj": "cronjob", "cronjobs": "cronjob",
	"roles": "role", "rolebindings": "rolebinding", "db": "database", "databases": "database",
}

// NormalKind is a kind in lower case, with kubectl's short and plural names written out.
func NormalKind(kind string) string {
	kind = strings.ToLower(strings.TrimSpace(kind))
	if long, ok := shortKinds[kind]; ok {
		return long
	}
	return kind
}

// generated is what Kubernetes appends to a workload's name for its pods: a ReplicaSet's hash and five letters, or an ordinal.
var generated = regexp.MustCompile(`^(-[a-z0-9]{5,10})?-[bcdfghjklmnpqrstvwxz2456789]{5}$|^-[0-9]{1,3}$`)

// SameComponent reports whether named is the component want. Kinds compare as in NormalKind; a namespace that either side
// leaves out matches any. A Pod in want also stands for every pod that a workload of its name generates: want Pod geo
// matches Pod geo-6b9f7c5d4-x2x5z and geo-0, but not geo-db-0.
func SameComponent(want, named agents.Component) bool {
	if NormalKind(want.Kind) != NormalKind(named.Kind) {
		return false
	}
	if want.Namespace != "" && named.Namespace != "" && want.Namespace != strings.TrimSpace(named.Namespace) {
		return false
	}
	name := strings.TrimSpace(named.Name)
	if name == want.Name {
		return true
	}
	suffix, ok := strings.CutPrefix(name, want.Name)
	return ok && NormalKind(want.Kind) == "pod" && generated.MatchString(suffix)
}

// FindComponent returns the index of the true component that named is or is an alias of, or -1.
func FindComponent(components []truth.Component, named agents.Component) int {
	for i, c := range components {
		if SameComponent(c.Component, named) {
			return i
		}
		for _, alias := range c.Aliases {
			if SameComponent(alias, named) {
				return i
			}
		}
	}
	return -1
}

// FormatComponent is "Kind namespace/name".
func FormatComponent(c agents.Component) string {
	if c.Namespace == "" {
		return c.Kind + " " + c.Name
	}
	return c.Kind + " " + c.Namespace + "/" + c.Name
}
