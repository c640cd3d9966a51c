package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/faults/catalog"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
	"github.com/gameday-bench/gameday/internal/yamlx"
	"github.com/gameday-bench/gameday/problems"
)

// FileName is the name of a fault's file in its directory.
const FileName = "fault.yaml"

// Source is a tree of fault directories: <id>/fault.yaml.
type Source struct {
	FS fs.FS
	// Prefix is put before file names in errors, for example faults/catalog.
	Prefix string
}

// Embedded is the catalogue that is compiled in.
func Embedded() Source { return Source{catalog.FS(), "faults/catalog"} }

// Directory is the faults folder of a private pack.
func Directory(pack string) Source {
	dir := filepath.Join(pack, "faults")
	return Source{os.DirFS(dir), dir}
}

// Entry is one fault of a catalogue.
type Entry struct {
	File
	// Path is the file's name for errors and for users.
	Path string `json:"path"`

	doc *yamlx.Document
}

// New makes the fault with its parameters bound. The error, of party usage, says what is wrong with them. It is safe for
// concurrent use.
func (e Entry) New(params map[string]string) (Fault, error) {
	draw, err := e.fill(params)
	if err != nil {
		return nil, errs.With(errs.Usage, err)
	}
	node, err := fillNode(&e.Spec, draw)
	if err != nil {
		return nil, errs.With(errs.Usage, fmt.Errorf("fill in fault %s: %w", e.ID, err))
	}
	fault, err := construct(e.File, Spec{ID: e.ID, doc: e.doc.Clone(), node: node})
	if err != nil {
		return nil, errs.With(errs.Usage, err)
	}
	return fault, nil
}

// Catalog is a set of faults with unique ids. It does not change after LoadCatalog.
type Catalog struct{ entries []Entry }

// LoadCatalog reads and checks every fault of the sources. The error is a yamlx.ErrorList of everything that is wrong in any
// file, of party usage; the catalogue then holds the faults that are right. A source that does not exist is empty. The
// types of the faults must be registered: import package types.
func LoadCatalog(sources ...Source) (*Catalog, error) {
	c := &Catalog{}
	var list yamlx.ErrorList
	for _, source := range sources {
		dirs, err := fs.ReadDir(source.FS, ".")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			list.Add(source.Prefix, fmt.Errorf("read directory: %w", err))
		}
		for _, dir := range dirs {
			file := path.Join(dir.Name(), FileName)
			data, err := fs.ReadFile(source.FS, file)
			if !dir.IsDir() || errors.Is(err, fs.ErrNotExist) {
				continue
			}
			name := path.Join(filepath.ToSlash(source.Prefix), file)
			if err == nil {
				err = c.add(name, dir.Name(), data)
			}
			list.Add(name, err)
		}
	}
	slices.SortFunc(c.entries, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return c, errs.With(errs.Usage, list.Err())
}

func (c *Catalog) add(name, dir string, data []byte) error {
	doc, err := yamlx.Parse(name, data)
	if err != nil {
		return err
	}
	entry := Entry{Path: name, doc: doc}
	var list yamlx.ErrorList
	list.Add(name, doc.Decode(&entry.File))
	if len(list) > 0 {
		return list.Err()
	}
	list = append(list, entry.check(dir)...)
	if i := slices.IndexFunc(c.entries, func(e Entry) bool { return e.ID == entry.ID }); i >= 0 {
		list = append(list, doc.Problem("id", "%q exists already in %s", entry.ID, c.entries[i].Path))
	}
	if len(list) > 0 {
		return list.Err()
	}
	c.entries = append(c.entries, entry)
	return nil
}

// check checks what the schema cannot say, with the examples for parameters.
func (e Entry) check(dir string) yamlx.ErrorList {
	var list yamlx.ErrorList
	if e.ID != dir || !problems.ValidID(e.ID) {
		list = append(list, e.doc.Problem("id", "%q must be lower-case words joined by dashes, and the directory's name, %q", e.ID, dir))
	}
	examples := map[string]string{}
	for _, name := range e.ParamNames() {
		p := e.Params[name]
		at := yamlx.Child("params", name)
		switch {
		case p.Required && p.Default != "":
			list = append(list, e.doc.Problem(at, "a required parameter has no default"))
		case p.Required && p.Example == "":
			list = append(list, e.doc.Problem(at, "a required parameter needs an example"))
		}
		if p.Example != "" {
			examples[name] = p.Example
		}
	}
	if len(list) > 0 {
		return list
	}
	if _, err := e.New(examples); err != nil {
		var problems yamlx.ErrorList
		if errors.As(err, &problems) {
			return append(list, problems...)
		}
		list = append(list, e.doc.Problem("spec", "%v", err))
	}
	return list
}

// All returns the faults, sorted by id.
func (c *Catalog) All() []Entry { return slices.Clone(c.entries) }

// IDs returns the ids, sorted.
func (c *Catalog) IDs() []string {
	ids := make([]string, len(c.entries))
	for i, e := range c.entries {
		ids[i] = e.ID
	}
	return ids
}

// Get returns the fault called id. The error is of party usage, with the list of what exists as its hint.
func (c *Catalog) Get(id string) (Entry, error) {
	i := slices.IndexFunc(c.entries, func(e Entry) bool { return e.ID == id })
	if i < 0 {
		unknown := nearest.Unknown("fault", id, c.IDs())
		return Entry{}, errs.With(errs.Usage, errs.Hint(unknown, "%s", unknown.Hint()))
	}
	return c.entries[i], nil
}
