package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// upstream is the module whose tests these are.
const upstream = "k8s.io/kubernetes"

// release is the version of upstream that go.mod in dir requires.
func release(dir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read release: %w", err)
	}
	m := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(upstream) + ` (v\S+)`).FindSubmatch(data)
	if m == nil {
		return "", fmt.Errorf("read release: go.mod does not require %s", upstream)
	}
	return string(m[1]), nil
}

// result is where one test ends up in the report.
type result struct{ name, note string }

// writeReport writes the report; it fails, after that, when a failed test has no cause or a cause has no failed test.
func writeReport(path, version string, specs []string, skipped, causes notes, store *store) error {
	sections := map[string][]result{}
	var unexplained, explainedPass []string
	from := origin{builds: map[string][]string{}}
	for _, name := range specs {
		note, skip := skipped[name]
		o, done := store.get(name)
		if done {
			from.add(o)
		}
		cause, explained := causes[name]
		switch {
		case skip:
			sections["skipped"] = append(sections["skipped"], result{name, note})
		case !done:
			sections["not run"] = append(sections["not run"], result{name, cause})
		case o.State == "failed":
			if !explained {
				unexplained = append(unexplained, name)
				cause = "not examined yet"
			}
			sections["failed"] = append(sections["failed"], result{name, cause})
		case o.State == "skipped":
			sections["skipped"] = append(sections["skipped"], result{name, "by the test itself: " + o.Message})
		default:
			if explained {
				explainedPass = append(explainedPass, name)
			}
			sections["passed"] = append(sections["passed"], result{name, ""})
		}
	}
	if err := os.WriteFile(path, []byte(markdown(version, len(specs), sections, from)), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	fmt.Printf("%d tests: %d passed, %d failed, %d skipped, %d not run\n", len(specs), len(sections["passed"]), len(sections["failed"]),
		len(sections["skipped"]), len(sections["not run"]))
	if len(explainedPass) > 0 {
		return fmt.Errorf("check causes: these have one and passed, take it out of causes.yaml: %s", strings.Join(explainedPass, "; "))
	}
	if len(unexplained) > 0 {
		return fmt.Errorf("check causes: these failed and have none in causes.yaml: %s", strings.Join(unexplained, "; "))
	}
	return nil
}

func markdown(version string, total int, sections map[string][]result, from origin) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Conformance

The conformance tests of Kubernetes %s, unmodified (`+"`%s/test/e2e`"+`), against the embedded cluster. This page is written by
`+"`make conformance`"+`; which tests are left out and why is in `+"`hack/conformance/skipped.yaml`"+`, and why a test fails in
`+"`hack/conformance/causes.yaml`"+`.

| | tests |
| --- | ---: |
| passed | %d |
| failed | %d |
| skipped | %d |
| not run | %d |
| all | %d |

`, version, upstream, len(sections["passed"]), len(sections["failed"]), len(sections["skipped"]), len(sections["not run"]), total)
	from.write(&b)
	for _, s := range []struct{ key, title, column string }{
		{"failed", "Failed", "cause"}, {"skipped", "Skipped", "reason"}, {"not run", "Not run", "what is known"},
	} {
		if len(sections[s.key]) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n| test | %s |\n| --- | --- |\n", s.title, s.column)
		for _, r := range sections[s.key] {
			fmt.Fprintf(&b, "| %s | %s |\n", cell(r.name), cell(r.note))
		}
	}
	b.WriteString("\n## Passed\n")
	group := ""
	for _, r := range sections["passed"] {
		sig, rest := splitSIG(r.name)
		if sig != group {
			fmt.Fprintf(&b, "\n### %s\n\n", sig)
			group = sig
		}
		fmt.Fprintf(&b, "- %s\n", escape(rest))
	}
	return b.String()
}

var sigPrefix = regexp.MustCompile(`^\[(sig-[a-z-]+)\] (.*)$`)

func splitSIG(name string) (sig, rest string) {
	name = strings.TrimSuffix(name, " [Conformance]")
	if m := sigPrefix.FindStringSubmatch(name); m != nil {
		return m[1], m[2]
	}
	return "other", name
}

func cell(s string) string {
	return strings.ReplaceAll(escape(strings.Join(strings.Fields(strings.TrimSuffix(s, " [Conformance]")), " ")), "|", `\|`)
}

// escape keeps Markdown from reading a test's name.
func escape(s string) string {
	return strings.NewReplacer("*", `\*`, "_", `\_`, "<", `\<`, "[", `\[`, "]", `\]`).Replace(s)
}
