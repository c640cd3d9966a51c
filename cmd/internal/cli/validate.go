package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	agentcatalog "github.com/gameday-bench/gameday/agents/catalog"
	"github.com/gameday-bench/gameday/cmd/internal/render"
	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/yamlx"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/problems/truth"
	"github.com/gameday-bench/gameday/scenarios"
	"github.com/gameday-bench/gameday/workloads"
)

func newValidate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate [PATH...]",
		Short: "Check files without a cluster",
		Long: `Check problems, faults, apps, scenarios and cluster files without a cluster, and print every error with its place.

PATH is a file, the directory of one problem, fault or app, or a private pack with problems/, faults/, apps/ and
scenarios/. Without PATH the built-in catalogue is checked. Exit code 3 when something is wrong.`,
		GroupID: groupRun,
		Example: "  gameday validate\n  gameday validate mine.yaml\n  gameday validate my-pack -o json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			files, err := a.validate(args)
			var list yamlx.ErrorList
			if err != nil && !errors.As(err, &list) {
				return err
			}
			return a.printFindings(files, list)
		},
	}
	a.outputFlag(cmd, []string{render.Table, render.JSON, render.YAML}, render.Table)
	return cmd
}

// printFindings prints one line per problem, as compilers do, and returns the exit code as an error.
func (a *app) printFindings(files int, found yamlx.ErrorList) error {
	if a.output != render.Table {
		if found == nil {
			found = yamlx.ErrorList{}
		}
		if err := render.Object(a.Stdout, a.output, map[string]any{"schemaVersion": render.SchemaVersion, "items": found}); err != nil {
			return err
		}
	} else {
		for _, p := range found {
			fmt.Fprintln(a.Stdout, render.OneLine(p.String()))
		}
	}
	if len(found) > 0 {
		return errs.Exit(errs.ExitFindings, errors.New(countProblems(found)))
	}
	fmt.Fprintf(a.notes(), "%s checked, nothing is wrong\n", plural(files, "file"))
	return nil
}

// validate checks the paths and returns how many files that were. The error is a yamlx.ErrorList of what is wrong in them, or
// of party usage for a path that cannot be read.
func (a *app) validate(paths []string) (int, error) {
	known, knownErr := a.catalogs()
	if len(paths) == 0 {
		n := 2*len(known.problems.All()) + len(known.faults.All()) + 4*len(known.apps.All()) + len(known.scenarios.All())
		return n, knownErr
	}
	if knownErr != nil {
		return 0, knownErr
	}
	v := &validator{known: known}
	for _, given := range paths {
		if err := v.path(a.path(given), given); err != nil {
			return 0, err
		}
	}
	return v.files, v.found.Err()
}

type validator struct {
	known *catalogs
	found yamlx.ErrorList
	files int
}

// add takes the problems of an error; any other error ends the validation.
func (v *validator) add(file string, err error) {
	var list yamlx.ErrorList
	if errors.As(err, &list) {
		v.found = append(v.found, list...)
		return
	}
	v.found.Add(file, err)
}

func (v *validator) path(full, shown string) error {
	info, err := os.Stat(full)
	if err != nil {
		return errs.With(errs.Usage, fmt.Errorf("validate: %w", err))
	}
	if !info.IsDir() {
		return v.file(full, shown)
	}
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(full, name))
		return err == nil
	}
	switch {
	case has(problems.File) || has(truth.File):
		v.problem(os.DirFS(full), shown)
	case has(faults.FileName), has("app.yaml"):
		return v.directory(full, shown)
	case has("problems"), has("faults"), has("apps"), has("scenarios"), has("agents"):
		v.pack(shown)
	default:
		return errs.Hint(errs.Newf(errs.Usage, "validate %s: neither a problem, fault, app nor a pack", shown),
			"a pack has problems/, faults/, apps/, scenarios/ or agents/ in it")
	}
	return nil
}

// pack checks a private pack together with the built-in catalogue, which it may refer to.
func (v *validator) pack(dir string) {
	c, err := loadCatalogs([]string{dir})
	v.add(dir, err)
	more := func(with, without int) int { return with - without }
	v.files += 2*more(len(c.problems.All()), len(v.known.problems.All())) + more(len(c.faults.All()), len(v.known.faults.All())) +
		4*more(len(c.apps.All()), len(v.known.apps.All())) + more(len(c.scenarios.All()), len(v.known.scenarios.All()))
}

func (v *validator) problem(dir fs.FS, shown string) {
	v.files += 2
	entry, err := problems.ReadEntry(v.known.problemNames(), dir, shown)
	v.add(shown, err)
	entry.Dir, entry.Prefix = dir, shown
	_, err = v.known.truth(entry)
	v.add(shown, err)
}

// directory checks one fault or app as the only one of a catalogue.
func (v *validator) directory(full, shown string) error {
	tree := os.DirFS(filepath.Dir(full))
	one := only{tree, filepath.Base(full)}
	prefix := filepath.Dir(shown)
	if _, err := os.Stat(filepath.Join(full, faults.FileName)); err == nil {
		v.files++
		_, err := faults.LoadCatalog(faults.Source{FS: one, Prefix: prefix})
		v.add(shown, err)
		return nil
	}
	v.files += 4
	c, err := workloads.LoadCatalog(workloads.Source{FS: one, Prefix: prefix})
	v.add(shown, err)
	if err == nil && len(c.All()) == 0 {
		v.add(shown, yamlx.Problem{File: filepath.ToSlash(filepath.Join(shown, "app.yaml")), Line: 1, Message: "no such file: the other files of an application stand beside it"})
	}
	return nil
}

// only shows a single directory of a tree.
type only struct {
	fs.FS
	name string
}

// ReadDir lists the directory alone at the top, and everything below it.
func (o only) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(o.FS, name)
	if name != "." {
		return all, err
	}
	return slices.DeleteFunc(all, func(e fs.DirEntry) bool { return e.Name() != o.name }), err
}

// file checks one file by the kind that it declares.
func (v *validator) file(full, shown string) error {
	data, err := os.ReadFile(full)
	if err != nil {
		return errs.With(errs.Usage, fmt.Errorf("validate: %w", err))
	}
	doc, err := yamlx.Parse(shown, data)
	var content any
	if err == nil {
		err = doc.Decode(&content)
	}
	if err != nil {
		v.files++
		v.add(shown, err)
		return nil
	}
	const kinds = "one of Agent, App, Cluster, Fault, LoadProfiles, Problem, Scenario, SLOs, Topology, Truth"
	object, _ := content.(map[string]any)
	kind, _ := object["kind"].(string)
	switch kind {
	case "":
		v.files++
		v.found = append(v.found, doc.Problem("kind", "required field is missing (%s)", kinds))
	case "Scenario":
		v.files++
		entry, err := scenarios.Read(v.known.scenarioNames(), filepath.ToSlash(shown), data)
		v.add(shown, err)
		if config := entry.Cluster.Config; config != "" && !filepath.IsAbs(config) {
			return v.cluster(filepath.Join(filepath.Dir(full), config), filepath.Join(filepath.Dir(shown), config))
		} else if config != "" {
			return v.cluster(config, config)
		}
	case "Agent":
		v.files++
		_, err := agentcatalog.Decode(filepath.ToSlash(shown), data, filepath.Base(filepath.Dir(full)))
		v.add(shown, err)
	case "Cluster":
		return v.cluster(full, shown)
	case "Problem", "Truth":
		v.problem(os.DirFS(filepath.Dir(full)), path.Dir(filepath.ToSlash(absolute(shown, full))))
	case "Fault", "App", "Topology", "SLOs", "LoadProfiles":
		return v.directory(filepath.Dir(full), filepath.Dir(absolute(shown, full)))
	default:
		v.files++
		v.found = append(v.found, doc.Problem("kind", "unknown kind %q (%s)", kind, kinds))
	}
	return nil
}

// cluster checks a cluster file.
func (v *validator) cluster(full, shown string) error {
	v.files++
	data, err := os.ReadFile(full)
	if err != nil {
		return errs.With(errs.Usage, fmt.Errorf("validate: %w", err))
	}
	_, err = cluster.ReadFile(filepath.ToSlash(shown), data)
	v.add(shown, err)
	return nil
}

// absolute returns shown, or full where shown does not name its directory.
func absolute(shown, full string) string {
	if filepath.Dir(shown) == "." {
		return full
	}
	return shown
}
