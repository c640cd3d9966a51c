// Package scenarios holds suites: which problems, agents, attempts, seeds and cluster make a run.
package scenarios

import (
	"embed"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/internal/catalog"
	"github.com/gameday-bench/gameday/internal/nearest"
	"github.com/gameday-bench/gameday/internal/yamlx"
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
	// Provider is the kind of cluster: embedded, kind or existing; empty is embedded. What only one machine knows of a cluster, its container
	// engine or its context, is on the command line.
	Provider string `yaml:"provider" json:"provider"`
	// Nodes is the number of worker nodes; 0 is the provider's default.
	Nodes int `yaml:"nodes,omitempty" json:"nodes,omitempty" check:"min=0"`
	// Config is the path of a cluster file, from the scenario's own directory, in place of Nodes.
	Config string `yaml:"config,omitempty" json:"config,omitempty"`
	// Fidelity of the control loops' periods: fast or production.
	Fidelity string `yaml:"fidelity,omitempty" json:"fidelity,omitempty" check:"oneof=fast|production"`
}

// Names are what a scenario may refer to; nil skips a check.
type Names struct {
	Problems []string
	Agents   []string
	// Providers are the kinds of clusters.
	Providers []string
}

// Entry is one scenario of a catalogue.
type Entry struct {
	Scenario
	// File is where it was read from.
	File string `json:"path"`
	// Digest is sha256: over the file.
	Digest string `json:"digest"`
}

// Catalog is a set of scenarios with unique ids.
type Catalog = catalog.Set[Entry]

// LoadCatalog reads the scenarios that are compiled in and those of private packs (<pack>/scenarios/*.yaml). The error is a
// yamlx.ErrorList of party usage; the catalogue then holds the scenarios that are right.
func LoadCatalog(names Names, packs ...string) (*Catalog, error) {
	sources := []catalog.Source{{FS: files, Prefix: "scenarios"}}
	for _, pack := range packs {
		sources = append(sources, catalog.Pack(pack, "scenarios"))
	}
	return catalog.Load(catalog.Kind[Entry]{
		Name: "scenario", Layout: catalog.Layout{Ext: ".yaml"}, ID: func(e Entry) string { return e.ID },
		Read: func(item catalog.Item) (Entry, error) {
			data, err := item.Data()
			if err != nil {
				return Entry{}, err
			}
			return Read(names, item.Path, data)
		},
	}, sources...)
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
	case !catalog.ValidID(s.ID):
		list = append(list, doc.Problem("id", "%q is not an id: want %s", s.ID, catalog.IDRule))
	case s.ID != base && base != "-" && path.Ext(file) == ".yaml":
		list = append(list, doc.Problem("id", "is %q, but the file is called %q", s.ID, base+".yaml"))
	}
	if s.Cluster.Config != "" && s.Cluster.Nodes != 0 {
		list = append(list, doc.Problem("cluster.config", "names the nodes, and so does cluster.nodes; want one of the two"))
	}
	if p := s.Cluster.Provider; names.Providers != nil && p != "" && !slices.Contains(names.Providers, p) {
		err := nearest.Unknown("cluster provider", p, names.Providers)
		list = append(list, doc.Problem("cluster.provider", "%v; %s", err, err.Hint()))
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
