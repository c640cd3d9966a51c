package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/gameday-bench/gameday/internal/yamlx"
)

// Source is one tree of files: the built-in one of a catalogue, or a folder of a private pack.
type Source struct {
	FS fs.FS
	// Prefix is the tree's name for errors and for users, for example problems/catalog.
	Prefix string
}

// Pack is a folder of the private pack in the directory pack. It need not exist: then it is empty.
func Pack(pack, folder string) Source {
	dir := filepath.Join(pack, folder)
	return Source{FS: os.DirFS(dir), Prefix: dir}
}

// Layout says which files of a source are entries.
type Layout struct {
	// File is the name of the file in each entry's own directory: <id>/<File>. Directories without it are something else.
	File string
	// Ext is the extension of the files that are entries themselves, <id><Ext>, in a layout without File.
	Ext string
}

// Item is the place of one entry, before it is read.
type Item struct {
	// ID is the name of the entry's directory, or its file's name without the extension.
	ID string
	// Path is the file's name for errors and for users, with slashes: Prefix, and where it is in the source.
	Path string
	// Dir is the entry's own directory; nil in a layout without File.
	Dir fs.FS

	tree fs.FS
	name string
}

// Data reads the entry's file.
func (i Item) Data() ([]byte, error) { return fs.ReadFile(i.tree, i.name) }

// items finds the entries of a source, sorted by name. A source that does not exist has none. What cannot be looked at is in
// the list of what is wrong.
func (s Source) items(layout Layout) ([]Item, yamlx.ErrorList) {
	var wrong yamlx.ErrorList
	found, err := fs.ReadDir(s.FS, ".")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		// What was read before the error is still looked at.
		wrong.Add(s.Prefix, fmt.Errorf("read directory: %w", err))
	}
	var items []Item
	for _, entry := range found {
		item, err := s.item(layout, entry.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			wrong.Add(item.Path, err)
		default:
			items = append(items, item)
		}
	}
	return items, wrong
}

// item is the entry under a name at the top of the tree. The error is fs.ErrNotExist for what is no entry of this layout.
func (s Source) item(layout Layout, name string) (Item, error) {
	item := Item{ID: strings.TrimSuffix(name, layout.Ext), tree: s.FS, name: path.Join(name, layout.File)}
	item.Path = path.Join(filepath.ToSlash(s.Prefix), item.name)
	// Stat and not the directory's entry: a link to a directory is one.
	info, err := fs.Stat(s.FS, name)
	if err != nil {
		return item, err
	}
	if layout.File == "" {
		if info.IsDir() || path.Ext(name) != layout.Ext {
			return item, fs.ErrNotExist
		}
		return item, nil
	}
	if !info.IsDir() {
		return item, fs.ErrNotExist
	}
	if _, err := fs.Stat(s.FS, item.name); err != nil {
		return item, err
	}
	item.Dir, err = fs.Sub(s.FS, name)
	return item, err
}
