package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2/types"
	"sigs.k8s.io/yaml"
)

// conformance is how upstream marks a conformance test.
const conformance = `\[Conformance\]`

// listSpecs asks the test binary for its conformance tests: their full names, sorted.
func listSpecs(ctx context.Context, o options) ([]string, error) {
	path := filepath.Join(o.work, "specs.json")
	cmd := exec.CommandContext(ctx, filepath.Join(o.tools, "e2e.test"), "--ginkgo.dry-run", "--ginkgo.silence-skips", "--ginkgo.succinct",
		"--ginkgo.focus="+conformance, "--ginkgo.json-report="+path, "--kubeconfig="+os.DevNull)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("list tests: %w: %s", err, bytes.TrimSpace(out))
	}
	reports, err := readReports(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, spec := range reports {
		if spec.State == types.SpecStatePassed {
			names = append(names, spec.FullText())
		}
	}
	slices.Sort(names)
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) || len(names) == 0 {
		return nil, fmt.Errorf("list tests: %d names, %d different ones", len(names), len(unique))
	}
	return names, nil
}

// readReports reads the tests (not the suite's own nodes) of a JSON report of Ginkgo.
func readReports(path string) (types.SpecReports, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read test report: %w", err)
	}
	var suites []types.Report
	if err := json.Unmarshal(data, &suites); err != nil {
		return nil, fmt.Errorf("decode test report %s: %w", path, err)
	}
	var out types.SpecReports
	for _, suite := range suites {
		out = append(out, suite.SpecReports.WithLeafNodeType(types.NodeTypeIt)...)
	}
	return out, nil
}

// focusOn is the expression that matches these tests and no others.
func focusOn(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = regexp.QuoteMeta(name)
	}
	return "(" + strings.Join(quoted, "|") + ")$"
}

// notes say something about tests, by full name.
type notes map[string]string

// loadNotes reads a YAML file of lists of tests by what is said about them.
func loadNotes(path string) (notes, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	var groups []struct {
		Note  string   `json:"note"`
		Tests []string `json:"tests"`
	}
	if err := yaml.UnmarshalStrict(data, &groups); err != nil {
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	out := notes{}
	for _, g := range groups {
		if g.Note == "" {
			return nil, fmt.Errorf("decode %s: a group without a note", path)
		}
		for _, test := range g.Tests {
			if _, twice := out[test]; twice {
				return nil, fmt.Errorf("decode %s: %q is there twice", path, test)
			}
			out[test] = g.Note
		}
	}
	return out, nil
}

// check finds notes about tests that do not exist.
func (n notes) check(specs []string) error {
	for name := range n {
		if !slices.Contains(specs, name) {
			return fmt.Errorf("check notes: no conformance test is called %q", name)
		}
	}
	return nil
}
