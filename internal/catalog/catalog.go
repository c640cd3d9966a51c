// Package catalog reads the catalogues: sets of things that are described in YAML files, one thing per directory or file,
// built in or from private packs. It finds the files, keeps ids unique over all sources, collects everything that is wrong
// with any file, and finds a thing by its id. What a file means is the business of who reads it.
package catalog

import (
	"regexp"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
	"github.com/gameday-bench/gameday/internal/yamlx"
)

// Kind is one kind of thing, E, and how it is read.
type Kind[E any] struct {
	// Name is the kind's name in errors, for example problem.
	Name   string
	Layout Layout
	// Read decodes and checks one entry. Its error, best a yamlx.ErrorList, keeps the entry out of the set.
	Read func(Item) (E, error)
	// ID is an entry's id, at the field id of its file.
	ID func(E) string
}

// Set is the entries of one kind, with unique ids. It does not change after Load, so it is safe for concurrent use. The
// zero Set is empty.
type Set[E any] struct {
	kind    string
	members []member[E]
}

type member[E any] struct {
	id, path string
	entry    E
}

// Load reads every entry of the sources. The error is a yamlx.ErrorList of everything that is wrong in any file, of party
// usage; the set, never nil, then holds the entries that are right. Of two entries with one id the one of the earlier source
// is right. A source that does not exist or has no entry is not an error.
func Load[E any](kind Kind[E], sources ...Source) (*Set[E], error) {
	set := &Set[E]{kind: kind.Name}
	var list yamlx.ErrorList
	for _, source := range sources {
		items, wrong := source.items(kind.Layout)
		list = append(list, wrong...)
		for _, item := range items {
			entry, err := kind.Read(item)
			if err != nil {
				list.Add(item.Path, err)
				continue
			}
			list.Add(item.Path, set.add(item, kind.ID(entry), entry))
		}
	}
	slices.SortFunc(set.members, func(a, b member[E]) int { return strings.Compare(a.id, b.id) })
	return set, errs.With(errs.Usage, list.Err())
}

// add adds an entry whose id is new.
func (s *Set[E]) add(item Item, id string, entry E) error {
	i := s.index(id)
	if i < 0 {
		s.members = append(s.members, member[E]{id, item.Path, entry})
		return nil
	}
	data, err := item.Data()
	if err != nil {
		return err
	}
	var at struct {
		ID string `yaml:"id"`
	}
	doc, err := yamlx.Parse(item.Path, data)
	if err != nil {
		return err
	}
	// Decoding finds the place of the id; the other fields were checked when the entry was read.
	_ = doc.Decode(&at)
	return doc.Problem("id", "%q exists already in %s", id, s.members[i].path)
}

func (s *Set[E]) index(id string) int {
	return slices.IndexFunc(s.members, func(m member[E]) bool { return m.id == id })
}

// All returns the entries, sorted by id.
func (s *Set[E]) All() []E {
	all := make([]E, len(s.members))
	for i, m := range s.members {
		all[i] = m.entry
	}
	return all
}

// IDs returns the ids, sorted.
func (s *Set[E]) IDs() []string {
	ids := make([]string, len(s.members))
	for i, m := range s.members {
		ids[i] = m.id
	}
	return ids
}

// Get returns the entry called id. The error is of party usage, with the list of what exists as its hint.
func (s *Set[E]) Get(id string) (E, error) {
	i := s.index(id)
	if i < 0 {
		var none E
		unknown := nearest.Unknown(s.kind, id, s.IDs())
		return none, errs.With(errs.Usage, errs.Hint(unknown, "%s", unknown.Hint()))
	}
	return s.members[i].entry, nil
}

var idPattern = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// IDRule is what ValidID asks for, in words.
const IDRule = "lower-case words joined by dashes, at most 63 characters"

// ValidID reports whether id may name an entry: IDRule.
func ValidID(id string) bool { return len(id) <= 63 && idPattern.MatchString(id) }
