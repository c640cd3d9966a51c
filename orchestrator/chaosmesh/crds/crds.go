// Package crds holds the CustomResourceDefinitions of Chaos Mesh.
//
// They are generated from the Go types of the api module that the embedded cluster's controllers are built with, and serve every
// cluster. The manifest that Chaos Mesh ships is older than that module: it prunes a field that the controllers write.
package crds

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

//go:generate go run generate.go

//go:embed crds.json.gz
var compressed []byte

// All returns the definitions, sorted by name. The caller owns them.
func All() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	z, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("read definitions: %w", err)
	}
	var all []*apiextensionsv1.CustomResourceDefinition
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		return nil, fmt.Errorf("decode definitions: %w", err)
	}
	return all, nil
}
