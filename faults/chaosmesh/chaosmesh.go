// Package chaosmesh holds faults that Chaos Mesh injects. A fault creates objects of Chaos Mesh in a namespace that agents
// cannot see, under names that say nothing, and Chaos Mesh does the rest: on the embedded cluster, on kind and anywhere else.
package chaosmesh

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"github.com/gameday-bench/gameday/faults"
)

// Spec is the spec of a fault.yaml of type chaosmesh.
type Spec struct {
	// Kind is a kind of Chaos Mesh, for example NetworkChaos.
	Kind string `yaml:"kind" check:"required"`
	// Spec is the object's spec. It has no duration: faults last until they are recovered.
	Spec map[string]any `yaml:"spec" check:"required"`
	// KeepApplied ties the fault to a node: it covers every pod that matches now or later. Spec then has neither selector nor
	// mode.
	KeepApplied *KeepApplied `yaml:"keepApplied,omitempty"`
}

// KeepApplied says which pods a node-tied fault covers: those of the application's namespace that run on the node.
type KeepApplied struct {
	Node string `yaml:"node" check:"required"`
	// Labels must all be on a pod; empty means any pod.
	Labels map[string]string `yaml:"labels,omitempty"`
}

// New is the constructor of type chaosmesh.
func New(s faults.Spec) (faults.Fault, error) {
	var spec Spec
	if err := s.Decode(&spec); err != nil {
		return nil, err
	}
	kind, ok := v1alpha1.AllKinds()[spec.Kind]
	if !ok {
		return nil, s.Fail("kind", "unknown kind %q (known: %s)", spec.Kind, strings.Join(slices.Sorted(maps.Keys(v1alpha1.AllKinds())), ", "))
	}
	if _, expires := spec.Spec["duration"]; expires {
		return nil, s.Fail("spec.duration", "a fault lasts until it is recovered: remove it")
	}
	check := maps.Clone(spec.Spec)
	if spec.KeepApplied != nil {
		for _, field := range []string{"selector", "mode"} {
			if _, set := spec.Spec[field]; set {
				return nil, s.Fail("spec."+field, "keepApplied selects the pods: remove it")
			}
		}
		check["selector"], check["mode"] = map[string]any{}, "all"
	}
	data, err := json.Marshal(map[string]any{"spec": check})
	if err != nil {
		return nil, s.Fail("spec", "%v", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(kind.SpawnObject()); err != nil {
		return nil, s.Fail("spec", "it is no spec of a %s: %v", spec.Kind, err)
	}
	if spec.KeepApplied != nil {
		return &kept{spec: spec, id: digest(data, []byte(s.ID), []byte(spec.KeepApplied.Node))}, nil
	}
	return &applied{spec: spec, id: digest(data, []byte(s.ID))}, nil
}

// requires are the capabilities that a kind needs which Chaos Mesh injects with a program of its own (a proxy in the pod's network, a file system
// under its volumes, a DNS server) or with a packet scheduler of the kernel. Partitions are made of iptables and ipset: every kernel that runs
// containers has them.
func (s Spec) requires() []string {
	switch s.Kind {
	case v1alpha1.KindHTTPChaos:
		return []string{faults.HTTPChaos}
	case v1alpha1.KindIOChaos:
		return []string{faults.IOChaos}
	case v1alpha1.KindDNSChaos:
		return []string{faults.DNSChaos}
	case v1alpha1.KindNetworkChaos:
		action, _ := s.Spec["action"].(string) // It has been decoded: it is one.
		return scheduler(v1alpha1.NetworkChaosAction(action))
	}
	return nil
}

// scheduler is the packet scheduler that does an action on the network, if one does. Reordering is a part of delays.
func scheduler(action v1alpha1.NetworkChaosAction) []string {
	switch action {
	case v1alpha1.NetemAction, v1alpha1.DelayAction, v1alpha1.LossAction, v1alpha1.DuplicateAction, v1alpha1.CorruptAction:
		return []string{faults.Netem}
	case v1alpha1.BandwidthAction:
		return []string{faults.TBF}
	}
	return nil
}

// digest is a short name for parts that says nothing about them.
func digest(parts ...[]byte) string {
	hash := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(hash, "%d\x00%s", len(part), part)
	}
	return hex.EncodeToString(hash.Sum(nil))[:10]
}
