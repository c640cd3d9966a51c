//go:build generate

// Command generate writes what `controller-gen object crd` would make of the API's Go types: their DeepCopy methods and the
// CustomResourceDefinition. Run it with `go generate` after a type has changed.
package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/controller-tools/pkg/crd"
	"sigs.k8s.io/controller-tools/pkg/deepcopy"
	"sigs.k8s.io/controller-tools/pkg/genall"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	var code, definitions genall.Generator = &deepcopy.Generator{}, &crd.Generator{CRDVersions: []string{"v1"}}
	rt, err := genall.Generators{&code, &definitions}.ForRoots("./api/...")
	if err != nil {
		return fmt.Errorf("load the API's types: %w", err)
	}
	rt.OutputRules = genall.OutputRules{Default: genall.OutputArtifacts{Config: "manifests"}}
	if hadErrs := rt.Run(); hadErrs {
		return fmt.Errorf("generate: see the messages above")
	}
	return nil
}
