package faults

import (
	"errors"
	"fmt"
	"slices"

	embedded "github.com/gameday-bench/gameday/faults/catalog"
	"github.com/gameday-bench/gameday/internal/catalog"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/internal/nearest"
	"github.com/gameday-bench/gameday/internal/yamlx"
)

// FileName is the name of a fault's file in its directory.
const FileName = "fault.yaml"

// Source is a tree of fault directories: <id>/fault.yaml.
type Source = catalog.Source

// Embedded is the catalogue that is compiled in.
func Embedded() Source { return Source{FS: embedded.FS(), Prefix: "faults/catalog"} }

// Directory is the faults folder of a private pack.
func Directory(pack string) Source { return catalog.Pack(pack, "faults") }

// Entry is one fault of a catalogue.
type Entry struct {
	File
	// Path is the file's name for errors and for users.
	Path string `json:"path"`
	// Digest is sha256: over the file.
	Digest string `json:"digest"`

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

// Catalog is a set of faults with unique ids.
type Catalog = catalog.Set[Entry]

// LoadCatalog reads and checks every fault of the sources. The error is a yamlx.ErrorList of everything that is wrong in any
// file, of party usage; the catalogue then holds the faults that are right. A source that does not exist is empty. The
// types of the faults must be registered: import package types.
func LoadCatalog(sources ...Source) (*Catalog, error) {
	return catalog.Load(catalog.Kind[Entry]{
		Name: "fault", Layout: catalog.Layout{File: FileName}, ID: func(e Entry) string { return e.ID }, Read: read,
	}, sources...)
}

func read(item catalog.Item) (Entry, error) {
	data, err := item.Data()
	if err != nil {
		return Entry{}, err
	}
	doc, err := yamlx.Parse(item.Path, data)
	if err != nil {
		return Entry{}, err
	}
	entry := Entry{Path: item.Path, doc: doc}
	if entry.Digest, err = catalog.Digest(item.Dir, func(name string) bool { return name == FileName }); err != nil {
		return Entry{}, fmt.Errorf("read fault %s: %w", item.ID, err)
	}
	if err := doc.Decode(&entry.File); err != nil {
		return Entry{}, err
	}
	list := entry.check(item.ID)
	if len(list) == 0 {
		entry.Requires = entry.requires()
	}
	return entry, list.Err()
}

// requires are the capabilities that the file names, and those that the fault itself requires.
func (e Entry) requires() []string {
	out := slices.Clone(e.Requires)
	fault, err := e.New(e.examples())
	if err != nil {
		return out // It has been checked: there is none.
	}
	if d, ok := fault.(Demanding); ok {
		for _, name := range d.Requires() {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// examples are values for the parameters that have one.
func (e Entry) examples() map[string]string {
	out := map[string]string{}
	for name, p := range e.Params {
		if p.Example != "" {
			out[name] = p.Example
		}
	}
	return out
}

// check checks what the schema cannot say, with the examples for parameters.
func (e Entry) check(dir string) yamlx.ErrorList {
	var list yamlx.ErrorList
	if e.ID != dir || !catalog.ValidID(e.ID) {
		list = append(list, e.doc.Problem("id", "%q must be lower-case words joined by dashes, and the directory's name, %q", e.ID, dir))
	}
	for i, name := range e.Requires {
		if !slices.Contains(CapabilityNames(), name) {
			unknown := nearest.Unknown("capability", name, CapabilityNames())
			list = append(list, e.doc.Problem(yamlx.Index("requires", i), "%v; %s", unknown, unknown.Hint()))
		}
	}
	for _, name := range e.ParamNames() {
		p := e.Params[name]
		at := yamlx.Child("params", name)
		switch {
		case p.Required && p.Default != "":
			list = append(list, e.doc.Problem(at, "a required parameter has no default"))
		case p.Required && p.Example == "":
			list = append(list, e.doc.Problem(at, "a required parameter needs an example"))
		}
	}
	if len(list) > 0 {
		return list
	}
	if _, err := e.New(e.examples()); err != nil {
		var problems yamlx.ErrorList
		if errors.As(err, &problems) {
			return append(list, problems...)
		}
		list = append(list, e.doc.Problem("spec", "%v", err))
	}
	return list
}
