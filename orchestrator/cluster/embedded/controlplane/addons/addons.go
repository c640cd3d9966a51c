// Package addons holds the objects that an installer creates in a new cluster: cluster DNS, the rights of the nodes'
// network components, and the registration of Chaos Mesh's admission webhooks.
package addons

import (
	"bytes"
	_ "embed"
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

//go:embed addons.yaml
var manifest string

// Objects returns the objects for c in the order in which they are to be created.
func Objects(c *spec.Cluster) ([]*unstructured.Unstructured, error) {
	t, err := template.New("addons").Option("missingkey=error").Parse(manifest)
	if err != nil {
		return nil, fmt.Errorf("parse add-ons: %w", err)
	}
	var buf bytes.Buffer
	data := map[string]any{
		"DNS": c.Network.DNS.String(), "Domain": c.Network.Domain, "ChaosNamespace": ChaosNamespace,
		"Reload": reload(c.Timing),
	}
	if err := t.Execute(&buf, data); err != nil {
		return nil, fmt.Errorf("render add-ons: %w", err)
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
