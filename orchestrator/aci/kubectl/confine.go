package kubectl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"
)

// ErrConfined is what a path outside the workspace is refused with, wrapped.
var ErrConfined = errors.New("only files of the workspace can be used; send content with stdin and -f -")

// fileFlags are the flags that name files, by how their value is read. A test walks the command tree for others.
var fileFlags = map[string]func(*confiner, string) (string, error){
	"filename":         (*confiner).manifest,
	"kustomize":        (*confiner).kustomization,
	"from-file":        (*confiner).keyed,
	"from-env-file":    (*confiner).path,
	"cert":             (*confiner).path,
	"key":              (*confiner).path,
	"patch-file":       (*confiner).path,
	"custom":           (*confiner).path,
	"output-directory": (*confiner).outputDirectory,
}

// fileFormats are the output formats whose argument is a file.
var fileFormats = []string{"jsonpath-file", "go-template-file", "templatefile", "custom-columns-file"}

// confiner turns paths that a command line names into paths inside the workspace, or refuses them.
type confiner struct {
	workspace string
	// stdin is the file that holds the standard input, or empty.
	stdin string
}

// confine rewrites every path of a parsed command line.
func (k *Kubectl) confine(cmd *cobra.Command, args []string, stdin string) error {
	c := &confiner{k.workspace, stdin}
	var errs []error
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		rewrite, ok := fileFlags[flag.Name]
		if !ok {
			return
		}
		if err := rewriteFlag(flag, func(s string) (string, error) { return rewrite(c, s) }); err != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", flag.Name, err))
		}
	})
	errs = append(errs, c.outputFormat(cmd.Flags()))
	if cmd.Name() == "cp" && cmd.Parent() == cmd.Root() {
		for i, arg := range args {
			if strings.Contains(arg, ":") {
				continue
			}
			path, err := c.path(arg)
			errs = append(errs, err)
			args[i] = path
		}
	}
	return errors.Join(errs...)
}

// rewriteFlag replaces the value, or every value of a list.
func rewriteFlag(flag *pflag.Flag, rewrite func(string) (string, error)) error {
	if list, ok := flag.Value.(pflag.SliceValue); ok {
		values := slices.Clone(list.GetSlice())
		for i, v := range values {
			out, err := rewrite(v)
			if err != nil {
				return err
			}
			values[i] = out
		}
		return list.Replace(values)
	}
	out, err := rewrite(flag.Value.String())
	if err != nil {
		return err
	}
	return flag.Value.Set(out)
}

// path resolves a path against the workspace. Symbolic links may not lead out of it, nor may those in a directory.
func (c *confiner) path(name string) (string, error) {
	full := name
	if !filepath.IsAbs(full) {
		full = filepath.Join(c.workspace, full)
	}
	full = filepath.Clean(full)
	if !c.within(full) {
		return "", fmt.Errorf("%q: %w", name, ErrConfined)
	}
	resolved, err := filepath.EvalSymlinks(full)
	if errors.Is(err, fs.ErrNotExist) {
		return full, c.checkParent(name, full)
	}
	if err != nil || !c.within(resolved) {
		return "", fmt.Errorf("%q: %w", name, ErrConfined)
	}
	return full, c.checkLinks(name, resolved)
}

// checkParent checks the deepest directory that exists of a path that does not.
func (c *confiner) checkParent(name, full string) error {
	for dir := filepath.Dir(full); c.within(dir); dir = filepath.Dir(dir) {
		resolved, err := filepath.EvalSymlinks(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && c.within(resolved) {
			return nil
		}
		break
	}
	return fmt.Errorf("%q: %w", name, ErrConfined)
}

func (c *confiner) checkLinks(name, root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink == 0 {
			return err
		}
		if resolved, err := filepath.EvalSymlinks(path); err != nil || !c.within(resolved) {
			return fmt.Errorf("%q: a symbolic link leads out of the workspace: %w", name, ErrConfined)
		}
		return nil
	})
}

func (c *confiner) within(path string) bool {
	return path == c.workspace || strings.HasPrefix(path, c.workspace+string(os.PathSeparator))
}

// manifest reads the value of -f.
func (c *confiner) manifest(name string) (string, error) {
	if name == "-" {
		if c.stdin == "" {
			return "", errors.New("-f - reads the standard input: give the call stdin, or a here-document")
		}
		return c.stdin, nil
	}
	if strings.Contains(name, "://") {
		return "", fmt.Errorf("%q: %w", name, ErrConfined)
	}
	full, err := c.path(name)
	if err != nil || !strings.ContainsAny(name, "*?[") {
		return full, err
	}
	matches, err := filepath.Glob(full)
	if err != nil {
		return "", fmt.Errorf("%q: %w", name, err)
	}
	for _, match := range matches {
		if _, err := c.path(match); err != nil {
			return "", err
		}
	}
	return full, nil
}

// keyed reads [key=]path.
func (c *confiner) keyed(value string) (string, error) {
	key, name, ok := strings.Cut(value, "=")
	if !ok {
		return c.path(value)
	}
	full, err := c.path(name)
	return key + "=" + full, err
}

func (c *confiner) outputDirectory(name string) (string, error) {
	if name == "" || name == "-" {
		return name, nil
	}
	return c.path(name)
}

// outputFormat confines -o xxx-file=PATH and -o xxx-file --template PATH.
func (c *confiner) outputFormat(flags *pflag.FlagSet) error {
	output := flags.Lookup("output")
	if output == nil || !output.Changed {
		return nil
	}
	format, name, inline := strings.Cut(output.Value.String(), "=")
	if !slices.Contains(fileFormats, format) {
		return nil
	}
	if inline {
		full, err := c.path(name)
		if err != nil {
			return fmt.Errorf("--output: %w", err)
		}
		return output.Value.Set(format + "=" + full)
	}
	if template := flags.Lookup("template"); template != nil && template.Changed {
		return rewriteFlag(template, c.path)
	}
	return nil
}

// kustomization reads the value of -k: a directory whose kustomizations name local files only, because kustomize would
// fetch anything else from the network, partly with the host's git.
func (c *confiner) kustomization(name string) (string, error) {
	if strings.Contains(name, "://") || strings.Contains(name, "?") {
		return "", fmt.Errorf("%q: %w", name, ErrConfined)
	}
	full, err := c.path(name)
	if err != nil {
		return "", err
	}
	return full, c.checkKustomization(full, 0)
}

// maxBases bounds how deep kustomizations may refer to one another.
const maxBases = 20

func (c *confiner) checkKustomization(dir string, depth int) error {
	if depth > maxBases {
		return errors.New("kustomizations refer to one another too deeply")
	}
	for _, file := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read kustomization: %w", err)
		}
		if err := c.checkReferences(dir, data, depth); err != nil {
			return err
		}
	}
	return nil
}

// kustomizeReferences are the fields whose strings are paths or places on the network.
var kustomizeReferences = []string{
	"resources", "bases", "components", "configurations", "crds", "generators", "transformers", "validators",
}

func (c *confiner) checkReferences(dir string, data []byte, depth int) error {
	var doc map[string]any
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("read kustomization: %w", err)
	}
	for _, field := range []string{"helmCharts", "helmChartInflationGenerator", "helmGlobals"} {
		if doc[field] != nil {
			return fmt.Errorf("kustomization field %s is refused: %w", field, ErrConfined)
		}
	}
	if place := elsewhere(doc); place != "" {
		return fmt.Errorf("kustomization: %q: %w", place, ErrConfined)
	}
	for _, field := range kustomizeReferences {
		list, _ := doc[field].([]any)
		for _, v := range list {
			ref, _ := v.(string)
			if ref == "" || strings.Contains(ref, "\n") {
				continue
			}
			full, err := c.path(filepath.Join(dir, ref))
			if err != nil {
				return err
			}
			info, err := os.Stat(full)
			if err != nil {
				return fmt.Errorf("kustomization %s: %q is no file of the workspace: %w", field, ref, ErrConfined)
			}
			if info.IsDir() {
				if err := c.checkKustomization(full, depth+1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// contents are the fields of a kustomization whose strings are content, not places.
var contents = map[string]bool{"literals": true, "patch": true, "commonAnnotations": true, "annotations": true}

// elsewhere returns a place on the network that a kustomization names, or "": kustomize fetches files of every kind from there.
func elsewhere(v any) string {
	switch v := v.(type) {
	case string:
		if strings.Contains(v, "://") {
			return v
		}
	case map[string]any:
		for field, child := range v {
			if place := elsewhere(child); place != "" && !contents[field] {
				return place
			}
		}
	case []any:
		for _, child := range v {
			if place := elsewhere(child); place != "" {
				return place
			}
		}
	}
	return ""
}

func realpath(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}
