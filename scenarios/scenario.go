// Package scenarios holds suites: which problems, agents, attempts, seeds and cluster make a run.
package scenarios

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
	"github.com/gameday-bench/gameday/internal/yamlx"
	"github.com/gameday-bench/gameday/problems"
	"github.com/gameday-bench/gameday/results"
)

//go:embed *.yaml
var files embed.FS

// Scenario is one <id>.yaml.
type Scenario struct {
	APIVersion  string `yaml:"apiVersion" json:"apiVersion" check:"required,oneof=gameday.dev/v1"`
	Kind        string `yaml:"kind" json:"kind" check:"required,oneof=Scenario"`
	ID          string `yaml:"id" json:"id" check:"required"`
	Title       string `yaml:"title" json:"title" check:"required"`
	Description string `yaml:"description,omitempty" json:"description,omitempty"`
	// Problems are ids of problems, in the order in which they run.
	Problems []string `yaml:"problems" json:"problems" check:"required"`
	// Agents are names of agents; empty leaves the choice to the command line.
	Agents []string `yaml:"agents" json:"agents"`
	// Attempts is how often each agent tries each problem; 0 is 1.
	Attempts int `yaml:"attempts" json:"attempts" check:"min=0"`
	// Seeds are used in turn: attempt k draws from seed number k, and after the last one the first comes again. Empty is 0.
	Seeds []int64 `yaml:"seeds" json:"seeds"`
	// Twins adds each problem once more without its fault, to measure false alarms.
	Twins bool `yaml:"twins" json:"twins"`
	// Concurrency is the number of trials at a time; 0 is 1.
	Concurrency int     `yaml:"concurrency,omitempty" json:"concurrency,omitempty" check:"min=0"`
	Cluster     Cluster `yaml:"cluster" json:"cluster"`
}

// Cluster is where the trials run.
type Cluster struct {
	// Provider is the kind of cluster.
	Provider string `yaml:"provider" json:"provider" check:"oneof=embedded|kind|existing"`
	// Nodes is the number of worker nodes; 0 is the provider's default.
	Nodes int `yaml:"nodes,omitempty" json:"nodes,omitempty" check:"min=0"`
	// Fidelity of the control loops' periods: fast or production.
	Fidelity string `yaml:"fidelity,omitempty" json:"fidelity,omitempty" check:"oneof=fast|production"`
}

// Names are what a scenario may refer to; nil skips a check.
type Names struct {
	Problems []string
	Agents   []string
}

// Entry is one scenario of a catalogue.
type Entry struct {
	Scenario
	// File is where it was read from.
	File string `json:"path"`
	// Digest is sha256: over the file.
	Digest string `json:"digest"`
}

// Catalog is a set of scenarios with unique ids. It does not change after LoadCatalog.
type Catalog struct{ entries []Entry }

// LoadCatalog reads the scenarios that are compiled in and those of private packs (<pack>/scenarios/*.yaml). The error is a
// yamlx.ErrorList of party usage; the catalogue then holds the scenarios that are right.
func LoadCatalog(names Names, packs ...string) (*Catalog, error) {
	c := &Catalog{}
	var list yamlx.ErrorList
	list.Add("scenarios", c.addAll(names, files, "scenarios"))
	for _, pack := range packs {
		dir := filepath.Join(pack, "scenarios")
		list.Add(dir, c.addAll(names, os.DirFS(dir), dir))
	}
	slices.SortFunc(c.entries, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return c, errs.With(errs.Usage, list.Err())
}

func (c *Catalog) addAll(names Names, tree fs.FS, prefix string) error {
	found, err := fs.ReadDir(tree, ".")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read directory: %w", err)
	}
	var list yamlx.ErrorList
	for _, file := range found {
		if file.IsDir() || path.Ext(file.Name()) != ".yaml" {
			continue
		}
		at := path.Join(filepath.ToSlash(prefix), file.Name())
		data, err := fs.ReadFile(tree, file.Name())
		if err != nil {
			list.Add(at, err)
			continue
		}
		entry, err := Read(names, at, data)
		if err != nil {
			list.Add(at, err)
			continue
		}
		if i := slices.IndexFunc(c.entries, func(e Entry) bool { return e.ID == entry.ID }); i >= 0 {
			list = append(list, yamlx.Problem{
				File: at, Line: 1, Path: "id", Message: fmt.Sprintf("%q exists already in %s", entry.ID, c.entries[i].File),
			})
			continue
		}
		c.entries = append(c.entries, entry)
	}
	return list.Err()
}

// Read decodes and checks one scenario file. The error is a yamlx.ErrorList.
func Read(names Names, file string, data []byte) (Entry, error) {
	entry := Entry{File: file, Digest: results.DigestBytes(data)}
	doc, err := yamlx.Parse(file, data)
	if err != nil {
		return entry, err
	}
	var list yamlx.ErrorList
	list.Add(file, doc.Decode(&entry.Scenario))
	s := &entry.Scenario
	base := strings.TrimSuffix(path.Base(filepath.ToSlash(file)), ".yaml")
	switch {
	case s.ID == "":
	case !problems.ValidID(s.ID):
		list = append(list, doc.Problem("id", "%q is not an id: want lower-case words joined by dashes, at most 63 characters", s.ID))
	case s.ID != base && base != "-" && path.Ext(file) == ".yaml":
		list = append(list, doc.Problem("id", "is %q, but the file is called %q", s.ID, base+".yaml"))
	}
	list = append(list, checkNames(doc, "problem", "problems", s.Problems, names.Problems)...)
	list = append(list, checkNames(doc, "agent", "agents", s.Agents, names.Agents)...)
	if err := list.Err(); err != nil {
		return entry, err
	}
	s.setDefaults()
	return entry, nil
}

func checkNames(doc *yamlx.Document, what, field string, given, known []string) yamlx.ErrorList {
	var list yamlx.ErrorList
	for i, name := range given {
		at := yamlx.Index(field, i)
		if slices.Contains(given[:i], name) {
			list = append(list, doc.Problem(at, "%q is listed twice", name))
		}
		if known != nil && name != "" && !slices.Contains(known, name) {
			err := nearest.Unknown(what, name, known)
			list = append(list, doc.Problem(at, "%v; %s", err, err.Hint()))
		}
	}
	return list
}

func (s *Scenario) setDefaults() {
	s.Attempts, s.Concurrency = max(1, s.Attempts), max(1, s.Concurrency)
	if len(s.Seeds) == 0 {
		s.Seeds = []int64{0}
	}
	if s.Agents == nil {
		s.Agents = []string{}
	}
	if s.Cluster.Provider == "" {
		s.Cluster.Provider = "embedded"
	}
}

// All returns the scenarios, sorted by id.
func (c *Catalog) All() []Entry { return slices.Clone(c.entries) }

// IDs returns the ids, sorted.
func (c *Catalog) IDs() []string {
	ids := make([]string, len(c.entries))
	for i, e := range c.entries {
		ids[i] = e.ID
	}
	return ids
}

// Get returns the scenario called id. The error is of party usage, with the list of what exists as its hint.
func (c *Catalog) Get(id string) (Entry, error) {
	i := slices.IndexFunc(c.entries, func(e Entry) bool { return e.ID == id })
	if i < 0 {
		unknown := nearest.Unknown("scenario", id, c.IDs())
		return Entry{}, errs.With(errs.Usage, errs.Hint(unknown, "%s", unknown.Hint()))
	}
	return c.entries[i], nil
}
