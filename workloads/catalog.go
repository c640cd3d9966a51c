package workloads

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
	"github.com/gameday-bench/gameday/workloads/apps"
	"github.com/gameday-bench/gameday/workloads/load/traffic"
)

// Source is a tree of application directories: <id>/app.yaml and the other files of a Definition.
type Source struct {
	FS fs.FS
	// Prefix is the tree's name for errors and users.
	Prefix string
}

// Embedded is the catalogue that is compiled in.
func Embedded() Source { return Source{apps.FS(), "workloads/apps"} }

// Directory is the apps folder of a private pack.
func Directory(pack string) Source {
	dir := filepath.Join(pack, "apps")
	return Source{os.DirFS(dir), dir}
}

// Catalog is a set of applications with unique ids. It does not change after LoadCatalog.
type Catalog struct{ definitions []*Definition }

// LoadCatalog reads every application of the sources. The error is a yamlx.ErrorList of everything that is wrong in any
// file, of party usage; the catalogue then holds the applications that are right.
func LoadCatalog(sources ...Source) (*Catalog, error) {
	c := &Catalog{}
	var list yamlx.ErrorList
	for _, source := range sources {
		files, err := fs.Glob(source.FS, "*/app.yaml")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			list.Add(source.Prefix, err)
		}
		for _, file := range files {
			d, err := source.read(path.Dir(file))
			if err != nil {
				list.Add(source.Prefix, err)
				continue
			}
			if i := slices.IndexFunc(c.definitions, func(o *Definition) bool { return o.ID == d.ID }); i >= 0 {
				list.Add(d.Path, fmt.Errorf("app %q exists already in %s", d.ID, c.definitions[i].Path))
				continue
			}
			c.definitions = append(c.definitions, d)
		}
	}
	slices.SortFunc(c.definitions, func(a, b *Definition) int { return strings.Compare(a.ID, b.ID) })
	return c, errs.With(errs.Usage, list.Err())
}

// All returns the applications, sorted by id.
func (c *Catalog) All() []*Definition { return slices.Clone(c.definitions) }

// IDs returns the ids, sorted.
func (c *Catalog) IDs() []string {
	out := []string{}
	for _, d := range c.definitions {
		out = append(out, d.ID)
	}
	return out
}

// Get returns the application called id. The error is of party usage, with the list of what exists as its hint.
func (c *Catalog) Get(id string) (*Definition, error) {
	i := slices.IndexFunc(c.definitions, func(d *Definition) bool { return d.ID == id })
	if i < 0 {
		unknown := nearest.Unknown("app", id, c.IDs())
		return nil, errs.Hint(errs.With(errs.Usage, unknown), "%s", unknown.Hint())
	}
	return c.definitions[i], nil
}

// read decodes one application directory.
func (s Source) read(id string) (*Definition, error) {
	dir, err := fs.Sub(s.FS, id)
	if err != nil {
		return nil, err
	}
	d := &Definition{Dir: dir, Path: path.Join(filepath.ToSlash(s.Prefix), id)}
	var (
		list     yamlx.ErrorList
		app      appFile
		topology topologyFile
		levels   sloFile
		profiles map[string]traffic.Profile
	)
	decode(d, &list, "app.yaml", func(file string, data []byte) error { return yamlx.Decode(file, data, &app) })
	decode(d, &list, "topology.yaml", func(file string, data []byte) error { return d.readTopology(file, data, &topology) })
	decode(d, &list, "slo.yaml", func(file string, data []byte) error {
		levels, err = parseSLOs(file, data)
		return err
	})
	decode(d, &list, "load.yaml", func(file string, data []byte) error {
		profiles, err = traffic.ParseProfiles(file, data)
		return err
	})
	if app.ID != "" && app.ID != id {
		list.Add(path.Join(d.Path, "app.yaml"), fmt.Errorf("id %q must be the directory's name, %q", app.ID, id))
	}
	if d.Digest, err = digest(dir); err != nil {
		list.Add(d.Path, err)
	}
	d.ID, d.Title, d.Description, d.Namespace = app.ID, app.Title, app.Description, app.Namespace
	d.Invariants, d.Components, d.SLOs, d.Services = app.Invariants, topology.Components, levels.Objectives, levels.Services
	d.Profiles = profiles
	return d, list.Err()
}

func decode(d *Definition, list *yamlx.ErrorList, name string, into func(file string, data []byte) error) {
	file := path.Join(d.Path, name)
	data, err := fs.ReadFile(d.Dir, name)
	if err == nil {
		err = into(file, data)
	}
	list.Add(file, err)
}

// readTopology decodes topology.yaml and checks that every call names a component.
func (d *Definition) readTopology(file string, data []byte, out *topologyFile) error {
	doc, err := yamlx.Parse(file, data)
	if err != nil {
		return err
	}
	if err := doc.Decode(out); err != nil {
		return err
	}
	names := map[string]bool{}
	for _, c := range out.Components {
		names[c.Name] = true
	}
	var list yamlx.ErrorList
	for i, c := range out.Components {
		for j, callee := range c.Calls {
			if !names[callee] {
				at := yamlx.Index(yamlx.Index("components", i)+".calls", j)
				list = append(list, doc.Problem(at, "no component is called %q", callee))
			}
		}
	}
	return list.Err()
}

// digest is sha256: over path, size and content of what makes the application behave: its declarations and manifests.
func digest(dir fs.FS) (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(dir, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".yaml") && !strings.HasSuffix(name, ".sql") {
			return err
		}
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(hash, "%s\x00%d\x00", name, len(data))
		_, err = hash.Write(data)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("digest application: %w", err)
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}
