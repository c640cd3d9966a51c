// Package archtest holds the import rules of the architecture as a test: each forbidden edge has its reason.
package archtest

import (
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/gameday-bench/gameday"

// layers orders the top-level folders: a package imports only its own layer or lower ones.
var layers = map[string]int{
	"cmd": 4, "orchestrator": 3, "evaluator": 2, "scenarios": 2,
	"problems": 1, "faults": 1, "workloads": 1, "agents": 1, "results": 1, "internal": 0,
}

// rule forbids packages below from (except exceptions) to import packages below to.
type rule struct {
	from, to string
	except   []string
	reason   string
}

var rules = []rule{
	{
		from: "", to: "k8s.io/kubernetes", except: []string{"orchestrator/cluster/embedded/controlplane", "orchestrator/cluster/embedded/node"},
		reason: "Kubernetes itself takes minutes to compile: everything else must build and test in seconds",
	},
	{
		from: "", to: module + "/orchestrator/cluster/embedded/controlplane", except: []string{"orchestrator/cluster/embedded/controlplane", "cmd/gameday-cluster"},
		reason: "only the cluster's own binary links Kubernetes",
	},
	{
		from: "", to: module + "/orchestrator/cluster/embedded/node", except: []string{"orchestrator/cluster/embedded/node", "cmd/gameday-cluster"},
		reason: "only the cluster's own binary links Kubernetes",
	},
	{
		from: "", to: "github.com/chaos-mesh", except: []string{
			"faults/chaosmesh", "orchestrator/cluster/embedded/controlplane", "orchestrator/cluster/embedded/chaosdaemon",
		},
		reason: "Chaos Mesh is behind one seam: faults/chaosmesh speaks its API, the embedded cluster runs its controllers",
	},
	{
		from: "", to: "helm.sh/helm", except: []string{"orchestrator/chaosmesh"},
		reason: "Chaos Mesh on a real cluster is the one thing that comes as a chart: its installer is the seam to Helm",
	},
	{
		from: "", to: "sigs.k8s.io/kind", except: []string{"orchestrator/cluster/kind"},
		reason: "kind is one provider among others",
	},
	{
		from: "", to: "github.com/google/go-containerregistry", except: []string{"orchestrator/images"},
		reason: "images are made, saved and pushed in one place; others take its Set",
	},
	{
		from: "", to: "github.com/minio", except: []string{"orchestrator/scaleout/bucket"},
		reason: "a bucket is one store of results among others, behind orchestrator/scaleout/blob",
	},
	{
		// kubectl is made of cobra commands, and the agent-cloud interface runs kubectl in process.
		from: "", to: "github.com/spf13/cobra", except: []string{"cmd", "orchestrator/aci/kubectl"}, reason: "the command line is the outermost layer",
	},
	{from: "", to: "github.com/spf13/viper", except: []string{"cmd"}, reason: "configuration is read once, at the edge"},
	{from: "evaluator", to: module + "/orchestrator", reason: "graders are pure: a stored run is graded again offline"},
	{from: "evaluator", to: module + "/faults", reason: "graders are pure: a stored run is graded again offline"},
	{from: "evaluator", to: "k8s.io/client-go", reason: "graders are pure: a stored run is graded again offline"},
	{from: "orchestrator/aci", to: module + "/problems/truth", reason: "no code path may lead from an answer to an agent"},
	{from: "agents", to: module + "/problems/truth", reason: "no code path may lead from an answer to an agent"},
	{from: "workloads", to: module + "/problems", reason: "an application does not know what will be done to it"},
	{from: "workloads", to: module + "/faults", reason: "an application does not know what will be done to it"},
	{from: "internal", to: module + "/", except: []string{"internal"}, reason: "internal packages are leaves"},
}

// imports maps each package directory, relative to the module, to what its non-test files import.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	root := filepath.Join("..", "..")
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || rel == "hack" || rel == "bin") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil && rel != "." {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		if match, err := build.Default.MatchFile(filepath.Dir(file), d.Name()); err != nil || !match {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			out[dir] = append(out[dir], name)
		}
		return nil
	})
	require.NoError(t, err)
	require.Contains(t, out, "internal/errs", "the walk must see the module's packages")
	return out
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	for dir, names := range imports(t) {
		for _, name := range names {
			for _, r := range rules {
				if below(dir, r.from) && below(name, strings.TrimSuffix(r.to, "/")) && !excepted(dir, r.except) && !ownLeaf(dir, name, r) {
					t.Errorf("%s imports %s: %s", dir, name, r.reason)
				}
			}
		}
	}
}

// TestNoPathToAnswers follows imports to the end: an answer that is reached through another package is reached as well.
func TestNoPathToAnswers(t *testing.T) {
	t.Parallel()
	all := imports(t)
	for start := range all {
		if !below(start, "orchestrator/aci") && !below(start, "agents") {
			continue
		}
		seen, next := map[string]bool{start: true}, []string{start}
		for len(next) > 0 {
			dir := next[0]
			next = next[1:]
			for _, name := range all[dir] {
				rel, ours := strings.CutPrefix(name, module+"/")
				if !ours || seen[rel] {
					continue
				}
				if rel == "problems/truth" {
					t.Errorf("%s reaches %s through %s: no code path may lead from an answer to an agent", start, rel, dir)
				}
				seen[rel] = true
				next = append(next, rel)
			}
		}
	}
}

func TestLayers(t *testing.T) {
	t.Parallel()
	for dir, names := range imports(t) {
		from, known := layers[top(dir)]
		if dir != "." && !known && top(dir) != "docs" {
			t.Errorf("%s: top-level folder %q is not part of the layout", dir, top(dir))
		}
		for _, name := range names {
			rel, ours := strings.CutPrefix(name, module+"/")
			if !ours {
				continue
			}
			if to := layers[top(rel)]; known && to > from {
				t.Errorf("%s imports %s: lower layers never import higher ones", dir, rel)
			}
		}
	}
}

func TestRulesAreAlive(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		require.NotEmpty(t, r.reason)
	}
	require.True(t, below("k8s.io/kubernetes/pkg/kubelet", "k8s.io/kubernetes"))
	require.False(t, below("k8s.io/kubernetes-sigs", "k8s.io/kubernetes"))
	require.True(t, excepted("cmd/internal/cli", []string{"cmd"}))
}

func below(name, prefix string) bool {
	return prefix == "" || name == prefix || strings.HasPrefix(name, prefix+"/")
}

func excepted(dir string, except []string) bool {
	return slices.ContainsFunc(except, func(e string) bool { return below(dir, e) })
}

// ownLeaf lets an internal package import another internal package.
func ownLeaf(dir, name string, r rule) bool {
	return r.from == "internal" && top(dir) == "internal" && strings.HasPrefix(name, module+"/internal/")
}

func top(dir string) string {
	first, _, _ := strings.Cut(path.Clean(dir), "/")
	return first
}
