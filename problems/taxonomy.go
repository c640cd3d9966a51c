package problems

import (
	_ "embed" // The taxonomy is a file that is compiled in.
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/internal/catalog"
	"github.com/gameday-bench/gameday/internal/yamlx"
)

//go:embed taxonomy.yaml
var taxonomyFile []byte

// Taxonomy is the closed vocabulary of diagnoses. It holds no answer, so agents are told all of it.
type Taxonomy struct {
	APIVersion string `yaml:"apiVersion" json:"apiVersion" check:"required,oneof=gameday.dev/v1"`
	Kind       string `yaml:"kind" json:"kind" check:"required,oneof=Taxonomy"`
	Version    int    `yaml:"version" json:"version" check:"required,min=1"`
	// Categories group mechanisms for reports.
	Categories []Term `yaml:"categories" json:"categories" check:"required"`
	// Mechanisms are what can be wrong.
	Mechanisms []Mechanism `yaml:"mechanisms" json:"mechanisms" check:"required"`
	// ComponentKinds are what a component can be.
	ComponentKinds []Term `yaml:"componentKinds" json:"componentKinds" check:"required"`
}

// Term is one word with its meaning.
type Term struct {
	ID          string `yaml:"id" json:"id" check:"required"`
	Description string `yaml:"description" json:"description" check:"required"`
}

// Mechanism is one way in which a component can be wrong.
type Mechanism struct {
	ID          string `yaml:"id" json:"id" check:"required"`
	Title       string `yaml:"title" json:"title" check:"required"`
	Description string `yaml:"description" json:"description" check:"required"`
	// Category is the id of one of Categories.
	Category string `yaml:"category" json:"category" check:"required"`
}

// LoadTaxonomy returns the taxonomy that is compiled in.
func LoadTaxonomy() (*Taxonomy, error) {
	return ParseTaxonomy("problems/taxonomy.yaml", taxonomyFile)
}

// ParseTaxonomy reads a taxonomy file. The error is a yamlx.ErrorList; the taxonomy holds what could be read.
func ParseTaxonomy(file string, data []byte) (*Taxonomy, error) {
	t := &Taxonomy{}
	doc, err := yamlx.Parse(file, data)
	if err != nil {
		return t, err
	}
	var list yamlx.ErrorList
	list.Add(file, doc.Decode(t))
	var categories []string
	for i, c := range t.Categories {
		if slices.Contains(categories, c.ID) {
			list = append(list, doc.Problem(yamlx.Index("categories", i)+".id", "%q is listed twice", c.ID))
		}
		categories = append(categories, c.ID)
	}
	seen := map[string]bool{}
	for i, m := range t.Mechanisms {
		at := yamlx.Index("mechanisms", i)
		if m.ID != "" && !catalog.ValidID(m.ID) {
			list = append(list, doc.Problem(at+".id", "%q is not an id: want lower-case words joined by dashes", m.ID))
		}
		if seen[m.ID] {
			list = append(list, doc.Problem(at+".id", "%q is listed twice", m.ID))
		}
		seen[m.ID] = true
		if m.Category != "" && !slices.Contains(categories, m.Category) {
			list = append(list, doc.Problem(at+".category", "unknown category %q (allowed: %s)", m.Category, strings.Join(categories, ", ")))
		}
	}
	return t, list.Err()
}

// MechanismIDs returns the ids of the mechanisms, sorted.
func (t *Taxonomy) MechanismIDs() []string {
	ids := make([]string, len(t.Mechanisms))
	for i, m := range t.Mechanisms {
		ids[i] = m.ID
	}
	slices.Sort(ids)
	return ids
}

// Kinds returns the component kinds, sorted.
func (t *Taxonomy) Kinds() []string {
	ids := make([]string, len(t.ComponentKinds))
	for i, k := range t.ComponentKinds {
		ids[i] = k.ID
	}
	slices.Sort(ids)
	return ids
}

// Mechanism returns the mechanism called id.
func (t *Taxonomy) Mechanism(id string) (Mechanism, bool) {
	i := slices.IndexFunc(t.Mechanisms, func(m Mechanism) bool { return m.ID == id })
	if i < 0 {
		return Mechanism{}, false
	}
	return t.Mechanisms[i], true
}
