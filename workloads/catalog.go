package workloads

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/gameday-bench/gameday/internal/catalog"
	"github.com/gameday-bench/gameday/internal/yamlx"
	"github.com/gameday-bench/gameday/workloads/apps"
	"github.com/gameday-bench/gameday/workloads/load/traffic"
)

// Source is a tree of application directories: <id>/app.yaml and the other files of a Definition.
type Source = catalog.Source

// Embedded is the catalogue that is compiled in.
func Embedded() Source { return Source{FS: apps.FS(), Prefix: "workloads/apps"} }

// Directory is the apps folder of a private pack.
func Directory(pack string) Source { return catalog.Pack(pack, "apps") }

// Catalog is a set of applications with unique ids.
type Catalog = catalog.Set[*Definition]

// LoadCatalog reads every application of the sources. The error is a yamlx.ErrorList of everything that is wrong in any
// file, of party usage; the catalogue then holds the applications that are right.
func LoadCatalog(sources ...Source) (*Catalog, error) {
	return catalog.Load(catalog.Kind[*Definition]{
		Name: "app", Layout: catalog.Layout{File: "app.yaml"}, ID: func(d *Definition) string { return d.ID }, Read: read,
	}, sources...)
}

// read decodes one application directory.
func read(item catalog.Item) (*Definition, error) {
	d := &Definition{Dir: item.Dir, Path: path.Dir(item.Path)}
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
		var err error
		levels, err = parseSLOs(file, data)
		return err
	})
	decode(d, &list, "load.yaml", func(file string, data []byte) error {
		var err error
		profiles, err = traffic.ParseProfiles(file, data)
		return err
	})
	if app.ID != "" && app.ID != item.ID {
		list.Add(item.Path, fmt.Errorf("id %q must be the directory's name, %q", app.ID, item.ID))
	}
	var err error
	d.Digest, err = catalog.Digest(item.Dir, behaves)
	list.Add(d.Path, err)
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

// behaves is true of the files that make the application behave: its declarations and manifests.
func behaves(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".sql")
}
