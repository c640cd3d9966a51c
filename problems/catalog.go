package problems

import (
	"io/fs"
	"path"
	"path/filepath"

	"github.com/gameday-bench/gameday/internal/catalog"
	"github.com/gameday-bench/gameday/internal/yamlx"
	embedded "github.com/gameday-bench/gameday/problems/catalog"
)

// File is the name of a problem's own file in its directory.
const File = "problem.yaml"

// Source is a tree of problem directories: <id>/problem.yaml, truth.yaml, README.md.
type Source = catalog.Source

// Embedded is the catalogue that is compiled in.
func Embedded() Source { return Source{FS: embedded.FS(), Prefix: "problems/catalog"} }

// Directory is the problems folder of a private pack.
func Directory(pack string) Source { return catalog.Pack(pack, "problems") }

// Entry is one problem of a catalogue.
type Entry struct {
	Problem
	// Dir holds the problem's files.
	Dir fs.FS `json:"-"`
	// Prefix is the directory's name for errors and for users.
	Prefix string `json:"path"`
	// Digest is sha256: over all files of the directory.
	Digest string `json:"digest"`
}

// Catalog is a set of problems with unique ids.
type Catalog = catalog.Set[Entry]

// LoadCatalog reads every problem of the sources. The error is a yamlx.ErrorList of everything that is wrong in any file, of
// party usage; the catalogue then holds the problems that are right. A source without any problem is not an error.
func LoadCatalog(names Names, sources ...Source) (*Catalog, error) {
	return catalog.Load(catalog.Kind[Entry]{
		Name: "problem", Layout: catalog.Layout{File: File}, ID: func(e Entry) string { return e.ID },
		Read: func(item catalog.Item) (Entry, error) { return ReadEntry(names, item.Dir, path.Dir(item.Path)) },
	}, sources...)
}

// ReadEntry reads and checks the problem in one directory. prefix is the directory's name; its last part must be the id.
// The error is a yamlx.ErrorList.
func ReadEntry(names Names, dir fs.FS, prefix string) (Entry, error) {
	file := path.Join(filepath.ToSlash(prefix), File)
	data, err := fs.ReadFile(dir, File)
	if err != nil {
		return Entry{}, yamlx.ErrorList{{File: file, Message: err.Error()}}
	}
	entry := Entry{Dir: dir, Prefix: prefix}
	doc, err := yamlx.Parse(file, data)
	if err != nil {
		return Entry{}, err
	}
	var list yamlx.ErrorList
	list.Add(file, doc.Decode(&entry.Problem))
	list = append(list, entry.validate(doc, path.Base(filepath.ToSlash(prefix)), names)...)
	digest, err := catalog.Digest(dir, nil)
	list.Add(file, err)
	entry.Digest = digest
	return entry, list.Err()
}
