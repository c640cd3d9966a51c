//go:build ignore

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

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-tools/pkg/crd"
	"sigs.k8s.io/controller-tools/pkg/genall"
	"sigs.k8s.io/yaml"
)

const (
	apiPackage = "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	output     = "crds.json.gz"
)

// nested are the kinds whose schema repeats the schema of every other kind. Their descriptions are dropped: they are
// nine tenths of the bytes, and the API server builds an OpenAPI document from them at every start.
var nested = []string{"Schedule", "Workflow", "WorkflowNode"}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	plain, err := generate(nil)
	if err != nil {
		return err
	}
	short, err := generate(new(int))
	if err != nil {
		return err
	}
	for i := range plain {
		if slices.Contains(nested, plain[i].Spec.Names.Kind) {
			plain[i] = short[i]
		}
	}
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(z).Encode(plain); err != nil {
		return fmt.Errorf("encode definitions: %w", err)
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(output, buf.Bytes(), 0o644)
}

// generate runs the crd generator over the api package. Descriptions are cut to maxDescLen characters unless it is nil.
func generate(maxDescLen *int) ([]apiextensionsv1.CustomResourceDefinition, error) {
	dir, err := os.MkdirTemp("", "crds")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var gen genall.Generator = &crd.Generator{MaxDescLen: maxDescLen, CRDVersions: []string{"v1"}}
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
