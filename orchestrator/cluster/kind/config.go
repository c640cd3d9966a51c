package kind

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"gopkg.in/yaml.v3"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kubeyaml "sigs.k8s.io/yaml"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// readConfig reads a configuration file of kind's. Of what it may say, more than one control plane, IPv6 and the lack of a pod network are
// refused, and what kind or the engine would refuse only when there are containers.
func readConfig(file string) (*layout, []string, error) {
	fail := func(format string, args ...any) (*layout, []string, error) {
		return nil, nil, errs.With(errs.Usage, fmt.Errorf("read kind configuration %s: %w", file, fmt.Errorf(format, args...)))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, errs.With(errs.Usage, fmt.Errorf("read kind configuration: %w", err))
	}
	config := &v1alpha4.Cluster{}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(config); err != nil && !errors.Is(err, io.EOF) {
		return fail("%s", strings.Join(strings.Fields(err.Error()), " ")) // It has a line for each field.
	}
	if config.APIVersion != kindAPI || config.Kind != kindCluster {
		return fail("it is of kind %q and apiVersion %q, want %s and %s", config.Kind, config.APIVersion, kindCluster, kindAPI)
	}
	if family := config.Networking.IPFamily; family != "" && family != v1alpha4.IPv4Family {
		return fail("networking.ipFamily is %s: the network of the nodes is %s", family, v1alpha4.IPv4Family)
	}
	if len(config.Nodes) == 0 {
		config.Nodes = []v1alpha4.Node{{}}
	}
	if len(config.Nodes) > maxNodes+1 {
		return fail("%d nodes; at most %d", len(config.Nodes), maxNodes+1)
	}
	l := &layout{config: config}
	var patches []string
	workers := 0
	for i := range config.Nodes {
		n := &config.Nodes[i]
		switch n.Role = cmp.Or(n.Role, v1alpha4.ControlPlaneRole); n.Role {
		case v1alpha4.WorkerRole:
			workers++
			l.nodes = append(l.nodes, node{name: fmt.Sprintf("node-%d", workers), worker: true})
		case v1alpha4.ControlPlaneRole:
			l.nodes = append(l.nodes, node{name: controlPlane})
		default:
			return fail("nodes[%d].role is %q, want %s or %s", i, n.Role, v1alpha4.ControlPlaneRole, v1alpha4.WorkerRole)
		}
		patches = append(patches, nodePatch(l.nodes[i].name, cluster.NodeGroup{}))
	}
	if planes := len(l.nodes) - workers; planes != 1 {
		return fail("%d nodes have the role %s, want one", planes, v1alpha4.ControlPlaneRole)
	}
	if err := checkConfig(config); err != nil {
		return fail("%s", strings.Join(strings.Fields(err.Error()), " "))
	}
	return l, patches, nil
}

// checkConfig looks at the values in a configuration file that decoding it does not.
func checkConfig(config *v1alpha4.Cluster) error {
	if err := checkNetworking(config.Networking); err != nil {
		return err
	}
	if err := checkPatches("", config.KubeadmConfigPatches, config.KubeadmConfigPatchesJSON6902); err != nil {
		return err
	}
	for i, n := range config.Nodes {
		if err := checkPatches(fmt.Sprintf("nodes[%d].", i), n.KubeadmConfigPatches, n.KubeadmConfigPatchesJSON6902); err != nil {
			return err
		}
	}
	return checkPortMappings(config.Nodes)
}

func checkNetworking(n v1alpha4.Networking) error {
	if n.DisableDefaultCNI {
		return errors.New("networking.disableDefaultCNI is true: without a pod network, nodes do not become ready")
	}
	switch n.KubeProxyMode {
	case "", v1alpha4.IPTablesProxyMode, v1alpha4.IPVSProxyMode, v1alpha4.NFTablesProxyMode:
	default:
		return fmt.Errorf("networking.kubeProxyMode is %q, want %s, %s or %s", n.KubeProxyMode,
			v1alpha4.IPTablesProxyMode, v1alpha4.IPVSProxyMode, v1alpha4.NFTablesProxyMode)
	}
	for _, subnet := range []struct{ field, value string }{{"podSubnet", n.PodSubnet}, {"serviceSubnet", n.ServiceSubnet}} {
		if subnet.value == "" {
			continue // kind has its own.
		}
		prefix, err := netip.ParsePrefix(subnet.value)
		if err != nil {
			return fmt.Errorf("networking.%s: %w", subnet.field, err)
		}
		if !prefix.Addr().Is4() {
			return fmt.Errorf("networking.%s is %s: the network of the nodes is %s", subnet.field, prefix, v1alpha4.IPv4Family)
		}
	}
	if n.APIServerAddress != "" {
		if _, err := netip.ParseAddr(n.APIServerAddress); err != nil {
			return fmt.Errorf("networking.apiServerAddress: %w", err)
		}
	}
	return checkPort("networking.apiServerPort", n.APIServerPort, enginesPort)
}

// enginesPort has the engine choose a port. With 0, kind does.
const enginesPort = -1

// checkPort refuses a port that is less than least, or none.
func checkPort(field string, port, least int32) error {
	if port < least || port > math.MaxUint16 {
		return fmt.Errorf("%s is %d, want a port from %d to %d", field, port, least, math.MaxUint16)
	}
	return nil
}

// checkPortMappings refuses ports that are none, and ports of the machine that two containers would listen at.
func checkPortMappings(nodes []v1alpha4.Node) error {
	taken := map[string][]netip.Addr{}
	for i, n := range nodes {
		for k, m := range n.ExtraPortMappings {
			at := fmt.Sprintf("nodes[%d].extraPortMappings[%d].", i, k)
			if err := errors.Join(checkPort(at+"containerPort", m.ContainerPort, 1), checkPort(at+"hostPort", m.HostPort, enginesPort)); err != nil {
				return err
			}
			address, err := netip.ParseAddr(cmp.Or(m.ListenAddress, "0.0.0.0"))
			if err != nil {
				return fmt.Errorf("%slistenAddress: %w", at, err)
			}
			if m.HostPort <= 0 {
				continue // One that is free.
			}
			port := fmt.Sprintf("%d/%s", m.HostPort, cmp.Or(m.Protocol, v1alpha4.PortMappingProtocolTCP))
			if slices.ContainsFunc(taken[port], func(other netip.Addr) bool {
				return other == address || other.IsUnspecified() || address.IsUnspecified()
			}) {
				return fmt.Errorf("%shostPort: port %s of the machine is given twice", at, port)
			}
			taken[port] = append(taken[port], address)
		}
	}
	return nil
}

// checkPatches decodes patches as kind does once it has containers; at is the path of what they are a part of.
func checkPatches(at string, merge []string, json6902 []v1alpha4.PatchJSON6902) error {
	for i, patch := range merge {
		for _, document := range strings.Split("\n"+patch, "\n---") {
			var of v1alpha4.TypeMeta
			if err := kubeyaml.Unmarshal([]byte(document), &of); err != nil {
				return fmt.Errorf("%skubeadmConfigPatches[%d]: %w", at, i, err)
			}
		}
	}
	for i, patch := range json6902 {
		if err := checkJSON6902(patch.Patch); err != nil {
			return fmt.Errorf("%skubeadmConfigPatchesJSON6902[%d]: %w", at, i, err)
		}
	}
	return nil
}

func checkJSON6902(patch string) error {
	data, err := kubeyaml.YAMLToJSON([]byte(patch))
	if err != nil {
		return err
	}
	operations, err := jsonpatch.DecodePatch(data)
	if err != nil {
		return err
	}
	for i, o := range operations {
		if known := []string{"add", "remove", "replace", "move", "copy", "test"}; !slices.Contains(known, o.Kind()) {
			return fmt.Errorf("operation %d: op is %q, want %s", i+1, o.Kind(), strings.Join(known, ", "))
		}
		if _, err := o.Path(); err != nil {
			return fmt.Errorf("operation %d: %w", i+1, err)
		}
	}
	return nil
}
