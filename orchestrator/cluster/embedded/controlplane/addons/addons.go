// Package addons holds the objects that an installer creates in a new cluster: cluster DNS, metrics-server, the rights of the
// nodes' network components, and the registration of Chaos Mesh's admission webhooks.
package addons

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"text/template"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// ChaosNamespace is where Chaos Mesh's own objects live.
const ChaosNamespace = "chaos-mesh"

//go:embed addons.yaml metrics-server.yaml
var manifests embed.FS

// Objects returns the objects for c in the order in which they are to be created.
func Objects(c *spec.Cluster) ([]*unstructured.Unstructured, error) {
	t, err := template.New("addons").Option("missingkey=error").ParseFS(manifests, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("parse add-ons: %w", err)
	}
	var buf bytes.Buffer
	data := map[string]any{
		"DNS": c.Network.DNS.String(), "Domain": c.Network.Domain, "ChaosNamespace": ChaosNamespace,
		// As often as the autoscaler looks: it would otherwise see the same figures twice, or old ones.
		"MetricResolution": c.Timing.HPASync.String(),
		"Reload":           reload(c.Timing),
		"Nodes":            c.Nodes,
	}
	for _, name := range []string{"addons.yaml", "metrics-server.yaml"} {
		if err := t.ExecuteTemplate(&buf, name, data); err != nil {
			return nil, fmt.Errorf("render add-ons: %w", err)
		}
	}
	var objects []*unstructured.Unstructured
	d := yaml.NewYAMLOrJSONDecoder(&buf, 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := d.Decode(&o.Object); err != nil {
			if errors.Is(err, io.EOF) {
				return objects, nil
			}
			return nil, fmt.Errorf("decode add-ons: %w", err)
		}
		if len(o.Object) > 0 {
			objects = append(objects, o)
		}
	}
}
