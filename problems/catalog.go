package problems

import (
	"crypto/sha256"
	"encoding/hex"
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
	"github.com/gameday-bench/gameday/problems/catalog"
)

// File is the name of a problem's own file in its directory.
const File = "problem.yaml"

// Source is a tree of problem directories: <id>/problem.yaml, truth.yaml, README.md.
type Source struct {
	FS fs.FS
	// Prefix is put before file names in errors, for example problems/catalog.
	Prefix string
}

// Embedded is the catalogue that is compiled in.
func Embedded() Source { return Source{catalog.FS(), "problems/catalog"} }

// Directory is the problems folder of a private pack.
func Directory(pack string) Source {
	dir := filepath.Join(pack, "problems")
	return Source{os.DirFS(dir), dir}
}

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

// Catalog is a set of problems with unique ids. It does not change after LoadCatalog.
type Catalog struct {
	entries []Entry
}

// LoadCatalog reads every problem of the sources. The error is a yamlx.ErrorList of everything that is wrong in any file, of
// party usage; the catalogue then holds the problems that are right. A source without any problem is not an error.
func LoadCatalog(names Names, sources ...Source) (*Catalog, error) {
	c := &Catalog{}
	var list yamlx.ErrorList
	for _, source := range sources {
		dirs, err := fs.ReadDir(source.FS, ".")
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				list.Add(source.Prefix, fmt.Errorf("read directory: %w", err))
			}
			continue
		}
		for _, dir := range dirs {
			if !dir.IsDir() {
				continue
			}
			list.Add("", c.add(names, source, dir.Name()))
		}
	}
	slices.SortFunc(c.entries, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return c, errs.With(errs.Usage, list.Err())
}

func (c *Catalog) add(names Names, source Source, dir string) error {
	sub, err := fs.Sub(source.FS, dir)
	if err != nil {
		return yamlx.Problem{File: path.Join(source.Prefix, dir), Message: err.Error()}
	}
	if _, err := fs.Stat(sub, File); errors.Is(err, fs.ErrNotExist) {
		return nil // A folder of something else, for example testdata.
	}
	entry, err := ReadEntry(names, sub, path.Join(source.Prefix, dir))
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(c.entries, func(e Entry) bool { return e.ID == entry.ID }); i >= 0 {
		return yamlx.Problem{
			File: path.Join(entry.Prefix, File), Line: 1, Path: "id",
			Message: fmt.Sprintf("%q exists already in %s", entry.ID, c.entries[i].Prefix),
		}
	}
	c.entries = append(c.entries, entry)
	return nil
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
	digest, err := Digest(dir)
	list.Add(file, err)
	entry.Digest = digest
	return entry, list.Err()
}

// Digest is "sha256:" and the hash over every regular file below dir: its path, its size and its content, in path order.
func Digest(dir fs.FS) (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(hash, "%s\x00%d\x00%s", name, len(data), data)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("hash the problem's files: %w", err)
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}

// All returns the problems, sorted by id.
func (c *Catalog) All() []Entry { return slices.Clone(c.entries) }

// IDs returns the ids, sorted.
func (c *Catalog) IDs() []string {
	ids := make([]string, len(c.entries))
	for i, e := range c.entries {
		ids[i] = e.ID
	}
	return ids
}

// Get returns the problem called id. The error is of party usage, with the list of what exists as its hint.
func (c *Catalog) Get(id string) (Entry, error) {
	i := slices.IndexFunc(c.entries, func(e Entry) bool { return e.ID == id })
	if i < 0 {
		unknown := nearest.Unknown("problem", id, c.IDs())
		return Entry{}, errs.With(errs.Usage, errs.Hint(unknown, "%s", unknown.Hint()))
	}
	return c.entries[i], nil
}
