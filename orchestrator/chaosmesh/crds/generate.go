//go:build generate

// Command generate writes crds.json.gz: the CustomResourceDefinitions of Chaos Mesh's api module, made from its Go types
// with controller-tools, exactly as `controller-gen crd` would. Run it with `go generate` after the module moved.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-tools/pkg/crd"
	"sigs.k8s.io/controller-tools/pkg/genall"
	"sigs.k8s.io/yaml"
)

const (
	apiPackage = "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	output     = "crds.json.gz"
)

// nested are the kinds whose schema repeats the schema of every other kind and that of a pod's containers and volumes,
// some of them twice: three quarters of all bytes. The API server builds OpenAPI documents and pruning schemas from them at every start and keeps them in memory,
// so a repeated schema is replaced by an object with any fields. Nothing is pruned there, and what is wrong is found by
// Chaos Mesh's admission webhooks, which decode the whole object.
var nested = []string{"Schedule", "Workflow", "WorkflowNode"}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	all, err := generate()
	if err != nil {
		return err
	}
	for i := range all {
		if slices.Contains(nested, all[i].Spec.Names.Kind) {
			for _, v := range all[i].Spec.Versions {
				loosen(v.Schema.OpenAPIV3Schema)
			}
		}
	}
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(z).Encode(all); err != nil {
		return fmt.Errorf("encode definitions: %w", err)
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(output, buf.Bytes(), 0o644)
}

// loosen replaces, below schema, the schema of every property that holds another kind's spec (named after the kind, for
// example networkChaos) or a part of a pod.
func loosen(schema *apiextensionsv1.JSONSchemaProps) {
	anything := true
	for name, p := range schema.Properties {
		object := apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &anything}
		switch {
		case p.Type == "object" && (strings.HasSuffix(name, "Chaos") || name == "container"):
			object.Description = p.Description
			p = object
		case p.Type == "array" && name == "volumes":
			p.Items.Schema = &object
		}
		loosen(&p)
		schema.Properties[name] = p
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		loosen(schema.Items.Schema)
	}
}

// generate runs the crd generator over the api package.
func generate() ([]apiextensionsv1.CustomResourceDefinition, error) {
	dir, err := os.MkdirTemp("", "crds")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var gen genall.Generator = &crd.Generator{CRDVersions: []string{"v1"}}
	rt, err := genall.Generators{&gen}.ForRoots(apiPackage)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", apiPackage, err)
	}
	rt.OutputRules = genall.OutputRules{Default: genall.OutputToDirectory(dir)}
	if hadErrs := rt.Run(); hadErrs {
		return nil, fmt.Errorf("generate definitions from %s: see the messages above", apiPackage)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var all []apiextensionsv1.CustomResourceDefinition
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var d apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(data, &d); err != nil {
			return nil, fmt.Errorf("decode %s: %w", filepath.Base(f), err)
		}
		all = append(all, d)
	}
	return all, nil
}
